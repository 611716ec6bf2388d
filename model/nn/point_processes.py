"""The networks of two temporal point processes. An event has a time and a mark: here a switch and the task switched in.

Both predict for event i its mark, given that the switch comes now, and the density of its slice, which is the time to
event i + 1. Time is counted in units of the geometric mean of slices.

`before` is the memory before the mark of event i is read, which predicts that mark; `after` is the memory once it is
read, which predicts the slice.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from model.density import Gompertz, PiecewiseLinearHazard
from model.nn.network import MARK_WIDTH, Inputs

LOG_RATE = (-12.0, 12.0)  # of an exponential intensity; numbers beyond overflow
MAX_CHANGE = 60.0  # of a log rate over one slice, for the same reason
MIN_RATE = 1e-6  # of every mark, so that none is impossible
NODES = 12  # of the quadrature
GRID = np.concatenate([[0.0], np.geomspace(1e-3, 1e6, 160)])  # times at which a sum of intensities is computed
BLOCK = 256  # slices whose intensities are computed at once
FINE = 0.05  # the quadrature's nodes are spaced evenly below this time, and by a ratio above it


class ExponentialIntensity(nn.Module):
    """RMTPP (Du et al., KDD 2016, "Recurrent marked temporal point processes").

    The intensity is r(t) = exp(v h + w t + b), so that the density has a closed form; the mark does not depend on the
    time since the previous event. Two changes from the paper: the recurrence is a GRU, and a background rate is added,
    because with a falling intensity (w < 0) a slice might never end.
    """

    longest: torch.Tensor

    def __init__(self, marks: int, hidden: int, deviation: float, longest: float) -> None:
        super().__init__()
        self.hidden, self.deviation = hidden, deviation
        self.mark_in = nn.Embedding(marks, MARK_WIDTH)
        self.cell = nn.GRU(MARK_WIDTH + 1, hidden, batch_first=True)
        self.mark_out = nn.Linear(hidden, marks)
        self.rate = nn.Linear(hidden, 1)
        self.slope = nn.Parameter(torch.zeros(()))
        self.log_background = nn.Parameter(torch.full((), -5.0))
        self.register_buffer("longest", torch.full((), longest))  # longest training slice

    def run(self, inputs: Inputs, state: object = None) -> tuple[torch.Tensor, object]:
        """Return (batch, steps, 2 hidden), the memory before and after each event, and the state after the last."""
        entered = torch.cat([self.mark_in(inputs.mark), inputs.previous_log[..., None]], dim=-1)
        after, end = self.cell(entered, state)
        first = torch.zeros_like(after[:, :1]) if state is None else cast(torch.Tensor, state)[-1][:, None]
        return torch.cat([torch.cat([first, after[:, :-1]], dim=1), after], dim=-1), end

    def log_probs(self, memory: torch.Tensor) -> torch.Tensor:
        """Return the natural log probabilities (..., marks)."""
        return functional.log_softmax(self.mark_out(memory[..., : self.hidden]), dim=-1)

    def log_rate(self, memory: torch.Tensor) -> torch.Tensor:
        """Return v h + b, (...,)."""
        return self.rate(memory[..., self.hidden :])[..., 0].clamp(*LOG_RATE)

    def losses(self, memory: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean nats of the marks, and of the standardised log dt."""
        mark_nats = functional.nll_loss(self.log_probs(memory).flatten(0, 1), inputs.mark.flatten())
        log_time = inputs.log_dt * self.deviation
        time, log_rate = log_time.exp(), self.log_rate(memory)
        change = (self.slope * time).clamp(max=MAX_CHANGE)
        small = change.abs() < 1e-3
        safe = torch.where(small, torch.ones_like(change), change)
        mean = torch.where(small, 1 + change / 2, torch.expm1(safe) / safe)
        integral = time * (log_rate.exp() * mean + self.log_background.exp())
        nats = integral - torch.logaddexp(log_rate + change, self.log_background)
        return mark_nats, (nats - log_time).mean() - math.log(self.deviation)

    def density(self, memory: torch.Tensor, unit_us: float) -> Gompertz:
        """Return the densities of n slices for the memory (n, 2 hidden), with time in units of `unit_us`."""
        log_rate = self.log_rate(memory).double().numpy()
        longest = float(self.longest)
        slope = min(float(self.slope), MAX_CHANGE / longest)
        return Gompertz(log_rate, slope, float(self.log_background.exp()), longest, unit_us)


class ContinuousLstm(nn.Module):
    """The neural Hawkes process (Mei and Eisner, NIPS 2017).

    The cell of an LSTM decays between events, and every mark has an intensity that depends on the decayed memory. The
    integral of their sum is computed by Gauss-Legendre quadrature over log time; the paper draws random times.
    """

    def __init__(self, marks: int, hidden: int, deviation: float, longest: float) -> None:
        super().__init__()
        self.hidden, self.deviation = hidden, deviation
        self.mark_in = nn.Embedding(marks, MARK_WIDTH)
        self.given = nn.Linear(MARK_WIDTH, 7 * hidden)  # gates from the mark
        self.recalled = nn.Linear(hidden, 7 * hidden, bias=False)  # gates from the memory
        self.intensity = nn.Linear(hidden, marks)
        self.log_scale = nn.Parameter(torch.zeros(marks))
        with torch.no_grad():  # some memories fade within a slice, others last for thousands
            self.given.bias[6 * hidden :] = torch.linspace(-7, 2, hidden)

    def run(self, inputs: Inputs, state: object = None) -> tuple[torch.Tensor, object]:
        """Return (batch, steps, 5 hidden) and the state after the last event.

        The five parts: h before; then, after: the cell, its target, its rate of decay towards it, the output gate.
        """
        mark_gates = self.given(self.mark_in(inputs.mark)).unbind(dim=1)
        gaps = (inputs.previous_log * self.deviation).exp()[..., None].unbind(dim=1)
        if state is None:
            zero = torch.zeros(len(inputs.mark), self.hidden)
            state = (zero, zero, zero, zero)
        cell, target, decay, out = cast("tuple[torch.Tensor, ...]", state)
        steps = []
        for gates, gap in zip(mark_gates, gaps, strict=True):
            cell = target + (cell - target) * torch.exp(-decay * gap)
            before = out * torch.tanh(cell)
            cell, target, decay, out = self._update(gates + self.recalled(before), cell, target)
            steps.append(torch.cat([before, cell, target, decay, out], dim=-1))
        return torch.stack(steps, dim=1), (cell, target, decay, out)

    def _update(self, gates: torch.Tensor, cell: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hidden = self.hidden
        enter, keep, enter_target, keep_target, out = torch.sigmoid(gates[..., : 5 * hidden]).chunk(5, dim=-1)
        fresh = torch.tanh(gates[..., 5 * hidden : 6 * hidden])
        decay = functional.softplus(gates[..., 6 * hidden :])
        return keep * cell + enter * fresh, keep_target * target + enter_target * fresh, decay, out

    def rates(self, decayed: torch.Tensor) -> torch.Tensor:
        """Return the intensities (..., marks) for a decayed memory."""
        scale = self.log_scale.exp()
        return scale * functional.softplus(self.intensity(decayed) / scale) + MIN_RATE

    def log_probs(self, memory: torch.Tensor) -> torch.Tensor:
        """Return the log probabilities (..., marks) of the marks, given that the switch comes now."""
        rates = self.rates(memory[..., : self.hidden])
        return rates.log() - rates.sum(dim=-1, keepdim=True).log()

    def total(self, memory: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Return the rate (..., times) at which the slice ends, at times (..., times) after it began."""
        _, cell, target, decay, out = (part[..., None, :] for part in memory.chunk(5, dim=-1))
        decayed = target + (cell - target) * torch.exp(-decay * time[..., None])
        return self.rates(out * torch.tanh(decayed)).sum(dim=-1)

    def losses(self, memory: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean nats of the marks, and of the standardised log dt."""
        mark_nats = functional.nll_loss(self.log_probs(memory).flatten(0, 1), inputs.mark.flatten())
        log_time = inputs.log_dt * self.deviation
        node, weight = quadrature(log_time.exp())
        rate = self.total(memory, torch.cat([node, log_time.exp()[..., None]], dim=-1))
        nats = (rate[..., :-1] * weight).sum(dim=-1) - rate[..., -1].log()
        return mark_nats, (nats - log_time).mean() - math.log(self.deviation)

    def density(self, memory: torch.Tensor, unit_us: float) -> PiecewiseLinearHazard:
        """Return the densities of n slices for the memory (n, 5 hidden), with time in units of `unit_us`."""
        time = torch.tensor(GRID, dtype=torch.float32)
        rates = [self.total(part, time.expand(len(part), -1)).double() for part in memory.split(BLOCK)]
        return PiecewiseLinearHazard(GRID * unit_us, torch.cat(rates).numpy() / unit_us)


def quadrature(until: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return times and weights (..., NODES): the sum of weight * f(time) approximates the integral of f up to `until`.

    The nodes are Gauss-Legendre's in log(1 + time / FINE), because f changes fastest at the start of a slice.
    """
    point, weight = (torch.from_numpy(part).to(until.dtype) for part in np.polynomial.legendre.leggauss(NODES))
    reach = torch.log1p(until / FINE)[..., None]
    growth = torch.exp(reach * (point + 1) / 2)
    return FINE * (growth - 1), FINE * growth * reach * weight / 2

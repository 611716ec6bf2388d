"""Networks of two temporal point processes: an event has a time and a mark, here a switch and the task switched in.

Both give event i the mark's probability at the moment of the switch, and what is left of the time axis: the density of
how long the mark's slice lasts, which is the time to event i + 1. Time is counted in the geometric mean of slices.

What is called *before* is the memory when event i comes, *after* that with its mark read: each head looks at one.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from model.hazard import Gompertz, Knots
from model.nn.network import MARK_WIDTH, Inputs

LOG_RATE = (-12.0, 12.0)  # of an exponential intensity; beyond is overflow
LARGEST_RISE = 60.0  # of a log rate over one slice, for the same reason
LEAST_RATE = 1e-6  # of every mark, so that none is impossible
NODES = 12  # of the quadrature
KNOTS = np.concatenate([[0.0], np.geomspace(1e-3, 1e6, 160)])  # where a sum of intensities is worked out: 14 % apart
BLOCK = 256  # slices whose intensities are worked out at once
FINE = 0.05  # times below this are told apart by less than their ratio


class ExponentialIntensity(nn.Module):
    """Du et al., KDD 2016, "Recurrent marked temporal point processes": r(t) = exp(v h + w t + b), so that the density
    is closed; the mark does not depend on the time since the event before.

    Two things are not as there: the recurrence is a GRU, and a background rate is added, without which a falling
    intensity (w < 0) leaves a chance that a slice never ends.
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
        self.register_buffer("longest", torch.full((), longest))  # slice learned from

    def run(self, inputs: Inputs, state: object = None) -> tuple[torch.Tensor, object]:
        """(lanes, steps, 2 hidden): before and after each event, and the state to carry on with."""
        given = torch.cat([self.mark_in(inputs.mark), inputs.previous_log[..., None]], dim=-1)
        after, end = self.cell(given, state)
        first = torch.zeros_like(after[:, :1]) if state is None else cast(torch.Tensor, state)[-1][:, None]
        return torch.cat([torch.cat([first, after[:, :-1]], dim=1), after], dim=-1), end

    def log_probs(self, memory: torch.Tensor) -> torch.Tensor:
        """(..., marks) natural log probabilities."""
        return functional.log_softmax(self.mark_out(memory[..., : self.hidden]), dim=-1)

    def log_rate(self, memory: torch.Tensor) -> torch.Tensor:
        """(...,) v h + b."""
        return self.rate(memory[..., self.hidden :])[..., 0].clamp(*LOG_RATE)

    def losses(self, memory: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean nats of the marks, and of the standardised log dt."""
        mark_nats = functional.nll_loss(self.log_probs(memory).flatten(0, 1), inputs.mark.flatten())
        log_time = inputs.log_dt * self.deviation
        time, log_rate = log_time.exp(), self.log_rate(memory)
        change = (self.slope * time).clamp(max=LARGEST_RISE)
        small = change.abs() < 1e-3
        safe = torch.where(small, torch.ones_like(change), change)
        mean = torch.where(small, 1 + change / 2, torch.expm1(safe) / safe)
        risen = time * (log_rate.exp() * mean + self.log_background.exp())
        nats = risen - torch.logaddexp(log_rate + change, self.log_background)
        return mark_nats, (nats - log_time).mean() - math.log(self.deviation)

    def density(self, memory: torch.Tensor, unit_us: float) -> Gompertz:
        """The densities of n slices from (n, 2 hidden), time being counted in units of `unit_us`."""
        log_rate = self.log_rate(memory).double().numpy()
        longest = float(self.longest)
        slope = min(float(self.slope), LARGEST_RISE / longest)
        return Gompertz(log_rate, slope, float(self.log_background.exp()), longest, unit_us)


class ContinuousLstm(nn.Module):
    """Mei and Eisner, NIPS 2017, "The neural Hawkes process": the cell of an LSTM decays between events, and every mark
    has an intensity of its own that the decayed memory tells.

    The integral of their sum is taken by Gauss-Legendre quadrature over log time, where they draw random times.
    """

    def __init__(self, marks: int, hidden: int, deviation: float, longest: float) -> None:
        super().__init__()
        self.hidden, self.deviation = hidden, deviation
        self.mark_in = nn.Embedding(marks, MARK_WIDTH)
        self.given = nn.Linear(MARK_WIDTH, 7 * hidden)
        self.recalled = nn.Linear(hidden, 7 * hidden, bias=False)
        self.intensity = nn.Linear(hidden, marks)
        self.log_scale = nn.Parameter(torch.zeros(marks))
        with torch.no_grad():  # memories that fade within a slice, and memories that last for thousands
            self.given.bias[6 * hidden :] = torch.linspace(-7, 2, hidden)

    def run(self, inputs: Inputs, state: object = None) -> tuple[torch.Tensor, object]:
        """(lanes, steps, 5 hidden): h before; then the cell, what it decays to, how fast, and the output gate after."""
        given = self.given(self.mark_in(inputs.mark)).unbind(dim=1)
        passed = (inputs.previous_log * self.deviation).exp()[..., None].unbind(dim=1)
        if state is None:
            nothing = torch.zeros(len(inputs.mark), self.hidden)
            state = (nothing, nothing, nothing, nothing)
        cell, target, decay, out = cast("tuple[torch.Tensor, ...]", state)
        steps = []
        for gates, gap in zip(given, passed, strict=True):
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

    def rates(self, recalled: torch.Tensor) -> torch.Tensor:
        """(..., marks) intensities for a decayed memory."""
        scale = self.log_scale.exp()
        return scale * functional.softplus(self.intensity(recalled) / scale) + LEAST_RATE

    def log_probs(self, memory: torch.Tensor) -> torch.Tensor:
        """(..., marks): of the marks, given that it is now that the switch comes."""
        return self._shares(self.rates(memory[..., : self.hidden]))

    def total(self, memory: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """(..., times) rate at which the slice ends, at times (..., times) after it began."""
        _, cell, target, decay, out = (part[..., None, :] for part in memory.chunk(5, dim=-1))
        faded = target + (cell - target) * torch.exp(-decay * time[..., None])
        return self.rates(out * torch.tanh(faded)).sum(dim=-1)

    def losses(self, memory: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean nats of the marks, and of the standardised log dt."""
        mark_nats = functional.nll_loss(self.log_probs(memory).flatten(0, 1), inputs.mark.flatten())
        log_time = inputs.log_dt * self.deviation
        node, weight = quadrature(log_time.exp())
        rate = self.total(memory, torch.cat([node, log_time.exp()[..., None]], dim=-1))
        nats = (rate[..., :-1] * weight).sum(dim=-1) - rate[..., -1].log()
        return mark_nats, (nats - log_time).mean() - math.log(self.deviation)

    def density(self, memory: torch.Tensor, unit_us: float) -> Knots:
        """The densities of n slices from (n, 5 hidden), time being counted in units of `unit_us`."""
        time = torch.tensor(KNOTS, dtype=torch.float32)
        rates = [self.total(part, time.expand(len(part), -1)).double() for part in memory.split(BLOCK)]
        return Knots(KNOTS * unit_us, torch.cat(rates).numpy() / unit_us)

    @staticmethod
    def _shares(rates: torch.Tensor) -> torch.Tensor:
        return rates.log() - rates.sum(dim=-1, keepdim=True).log()


def quadrature(until: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(..., NODES) times and weights: the sum of weight * f(time) is about the integral of f from 0 to `until`."""
    point, share = (torch.from_numpy(part).to(until.dtype) for part in np.polynomial.legendre.leggauss(NODES))
    reach = torch.log1p(until / FINE)[..., None]
    grown = torch.exp(reach * (point + 1) / 2)
    return FINE * (grown - 1), FINE * grown * reach * share / 2

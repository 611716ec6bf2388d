"""The network around a recurrent cell: its inputs, its two heads, and their losses.

Inputs: the mark, log slice and end state of the previous event. Outputs: a softmax over the next mark and, given a
mark, a mixture of log-normals over dt (Shchur et al., ICLR 2020, "Intensity-free learning of temporal point
processes").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from model.data.streams import STATES
from model.nn.heads import HeadNats
from model.nn.likelihoods import LOG_DEVIATION

COMPONENTS = 8
MARK_WIDTH = 16
STATE_WIDTH = 4
SLICE_WIDTH = 32


@dataclass
class Inputs:
    """(batch, steps) each: event i's target, and what is known when it is predicted."""

    previous_mark: torch.Tensor  # int64 mark of event i-1, or the number of marks if there is no such event
    previous_log: torch.Tensor  # float32 standardised log slice of event i-1
    previous_state: torch.Tensor  # int64 end state of event i-1
    mark: torch.Tensor  # int64 target
    log_dt: torch.Tensor  # float32 target, standardised


class Embedding(nn.Embedding):
    """torch's, with a gradient that takes less time."""

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        """Return (..., width) for (...)."""
        return self.weight.index_select(0, index.flatten()).unflatten(0, index.shape)


class Network(nn.Module):
    """Embeddings -> a cell over time -> two heads. Without `slices`, slice lengths and end states are not read."""

    def __init__(self, marks: int, cell: type[nn.Module], hidden: int, layers: int, slices: bool) -> None:
        super().__init__()
        self.slices = slices
        self.mark_in = Embedding(marks + 1, MARK_WIDTH)
        self.state_in = Embedding(len(STATES), STATE_WIDTH)
        width = MARK_WIDTH + (STATE_WIDTH + 1 if slices else 0)
        self.cell = cell(width, hidden, layers, batch_first=True)
        self.mark_out = nn.Linear(hidden, marks)
        self.mark_given = nn.Embedding(marks, MARK_WIDTH)
        self.slice_hidden = nn.Linear(hidden + MARK_WIDTH, SLICE_WIDTH)
        self.slice_out = nn.Linear(SLICE_WIDTH, 3 * COMPONENTS)

    def run(self, inputs: Inputs, state: object = None) -> tuple[torch.Tensor, object]:
        """Return the memory (batch, steps, hidden) from which each event is predicted, and the state after the last."""
        steps_first = self._embed(inputs).unflatten(0, inputs.previous_mark.T.shape)  # oneDNN is fastest this way
        memory, state = self.cell(steps_first.transpose(0, 1), state)
        return memory, state

    def mixture(self, memory: torch.Tensor, mark: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return log weights, means and log deviations (..., COMPONENTS) of the standardised log dt, given the mark."""
        raw = self.slice_out(torch.tanh(self.slice_hidden(torch.cat([memory, self.mark_given(mark)], dim=-1))))
        log_weight, mean, log_deviation = raw.chunk(3, dim=-1)
        return functional.log_softmax(log_weight, dim=-1), mean, log_deviation.clamp(*LOG_DEVIATION)

    def losses(self, memory: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean nats of the marks, and of the standardised log dt given the marks."""
        events = memory.transpose(0, 1).flatten(0, 1), inputs.mark.T.flatten(), inputs.log_dt.T.flatten()  # steps first
        deep, out, marks = self.slice_hidden, self.slice_out, self.mark_out
        weights = marks.weight, marks.bias, self.mark_given.weight, deep.weight, deep.bias, out.weight, out.bias
        return HeadNats.apply(*events, *weights)

    def _embed(self, inputs: Inputs) -> torch.Tensor:
        """Return what enters the cell, (steps * batch, width)."""
        mark = self.mark_in(inputs.previous_mark.T).flatten(0, 1)
        if not self.slices:
            return mark
        return torch.cat(
            [mark, self.state_in(inputs.previous_state.T).flatten(0, 1), inputs.previous_log.T.reshape(-1, 1)], dim=1
        )


def detach(state: object) -> object:
    """Return the state without its history, so that back-propagation ends here."""
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()  # type: ignore


def flatten(network: nn.Module) -> nn.Parameter:
    """Make all weights of the network views of one vector, and their gradients views of its gradient; return it.

    An optimiser's step on the vector is a few operations; on the dozen of small tensors, training an LSTM costs 12 to
    27 % more CPU.
    """
    weights = list(network.parameters())
    sizes = [weight.numel() for weight in weights]
    vector = nn.Parameter(torch.cat([weight.detach().flatten() for weight in weights]))
    vector.grad = torch.zeros_like(vector)
    for weight, part, gradient in zip(weights, vector.data.split(sizes), vector.grad.split(sizes), strict=True):
        weight.data, weight.grad = part.view_as(weight), gradient.view_as(weight)
    return vector

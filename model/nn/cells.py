"""Memories other than torch's own, called as those are: (lanes, steps, width) and a state in, (lanes, steps, hidden)
and the next state out. Made with `batch_first=True`; `None` stands for the state before a stream's first event."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

SPAN = 32  # events that a layer of attention looks back at
AT_ONCE = 256  # events; a layer's memory and time grow with the square of how many it is given
HEADS = 4


class LinearGates(nn.Module):
    """minGRU (Feng et al., 2024, "Were RNNs all we needed?"): gate and candidate see the input alone.

    Layers are joined by sums, each normalised, for the gates cannot see the memory and depth has to make up for it.
    """

    def __init__(self, width: int, hidden: int, layers: int, batch_first: bool = True) -> None:
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.gates = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(layers))
        self.mixers = nn.ModuleList(nn.Sequential(nn.Linear(hidden, hidden), nn.GELU()) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))

    def forward(self, given: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """State: (layers, lanes, hidden)."""
        flow, ends = self.enter(given), []
        for layer, (gates, mixer, norm) in enumerate(zip(self.gates, self.mixers, self.norms, strict=True)):
            keep, candidate = gates(norm(flow)).chunk(2, dim=-1)
            start = torch.zeros_like(flow[:, 0]) if state is None else state[layer]
            memory = _scan(torch.sigmoid(keep), candidate, start)
            ends.append(memory[:, -1])
            flow = flow + mixer(memory)
        return flow, torch.stack(ends)


def _scan(keep: torch.Tensor, candidate: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
    """h[t] = keep[t] h[t-1] + (1 - keep[t]) candidate[t], step by step: cheap, and exact however it is cut."""
    fresh = (1 - keep) * candidate
    steps = []
    for step in range(keep.shape[1]):
        memory = keep[:, step] * memory + fresh[:, step]
        steps.append(memory)
    return torch.stack(steps, dim=1)


class Attention(nn.Module):
    """Causal self-attention (Vaswani et al., NIPS 2017); a layer sees the last SPAN events.

    Distances are told by learned biases. The state is the inputs of the last layers * SPAN events, all that a
    prediction can depend on, so that a stream cut in pieces is seen as a whole.
    """

    def __init__(self, width: int, hidden: int, layers: int, batch_first: bool = True) -> None:
        super().__init__()
        self.reach = layers * SPAN
        self.enter = nn.Linear(width, hidden)
        self.layers = nn.ModuleList(AttentionLayer(hidden) for _ in range(layers))
        self.leave = nn.LayerNorm(hidden)

    def forward(self, given: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """State: (lanes, up to layers * SPAN, width)."""
        parts = []
        for piece in given.split(AT_ONCE, dim=1):
            part, state = self._piece(piece, state)
            parts.append(part)
        return torch.cat(parts, dim=1), cast(torch.Tensor, state)

    def _piece(self, given: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        seen = given if state is None else torch.cat([state, given], dim=1)
        flow = self.enter(seen)
        for layer in self.layers:
            flow = layer(flow)
        return self.leave(flow[:, -given.shape[1] :]), seen[:, -self.reach :]


class AttentionLayer(nn.Module):
    """Attention, then a small network, each added to what came in."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.ask = nn.Linear(hidden, 3 * hidden)
        self.answer = nn.Linear(hidden, hidden)
        self.bias = nn.Parameter(torch.zeros(HEADS, SPAN + 1))
        self.mixer = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """(lanes, steps, hidden) to the same."""
        lanes, steps, hidden = flow.shape
        asked = self.ask(self.before(flow)).view(lanes, steps, 3, HEADS, hidden // HEADS)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, self._mask(steps))
        flow = flow + self.answer(found.transpose(1, 2).reshape(lanes, steps, hidden))
        return flow + self.mixer(self.between(flow))

    def _mask(self, steps: int) -> torch.Tensor:
        """(heads, steps, steps): the bias of each distance, minus infinity for the future and beyond SPAN."""
        place = torch.arange(steps)
        distance = place[:, None] - place[None, :]
        allowed = (distance >= 0) & (distance <= SPAN)
        return self.bias[:, distance.clamp(0, SPAN)].masked_fill(~allowed, float("-inf"))

"""Recurrent cells that torch does not have, with the interface of `torch.nn.GRU(batch_first=True)`.

They take (batch, steps, width) and a state, and return (batch, steps, hidden) and the next state. The state in front of
a stream's first event is None.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from model.settings import HEADS

SPAN = 32  # events that a layer of attention looks back
PIECE = 256  # events that attention takes at once; its memory and time grow with the square of their number


class LinearGates(nn.Module):
    """minGRU (Feng et al., 2024, "Were RNNs all we needed?"): gate and candidate depend on the input alone.

    Layers are joined by residual sums, each normalised: the gates do not see the memory, and depth makes up for that.
    """

    def __init__(self, width: int, hidden: int, layers: int, batch_first: bool = True) -> None:
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.gates = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(layers))
        self.mixers = nn.ModuleList(nn.Sequential(nn.Linear(hidden, hidden), nn.GELU()) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))

    def forward(self, inputs: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Run over all steps; the state is (layers, batch, hidden)."""
        flow, ends = self.enter(inputs), []
        for layer, (gates, mixer, norm) in enumerate(zip(self.gates, self.mixers, self.norms, strict=True)):
            keep, candidate = gates(norm(flow)).chunk(2, dim=-1)
            start = torch.zeros_like(flow[:, 0]) if state is None else state[layer]
            memory = _scan(torch.sigmoid(keep), candidate, start)
            ends.append(memory[:, -1])
            flow = flow + mixer(memory)
        return flow, torch.stack(ends)


def _scan(keep: torch.Tensor, candidate: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
    """Compute h[t] = keep[t] h[t-1] + (1 - keep[t]) candidate[t] step by step: cheap, and the same in any pieces."""
    fresh = (1 - keep) * candidate
    steps = []
    for step in range(keep.shape[1]):
        memory = keep[:, step] * memory + fresh[:, step]
        steps.append(memory)
    return torch.stack(steps, dim=1)


class Attention(nn.Module):
    """Causal self-attention (Vaswani et al., NIPS 2017) with a learned bias per distance; a layer sees SPAN events.

    The state holds the inputs of the last layers * SPAN events. A prediction depends on no earlier event, so a stream
    in pieces gives the same result as the whole.
    """

    def __init__(self, width: int, hidden: int, layers: int, batch_first: bool = True) -> None:
        super().__init__()
        self.reach = layers * SPAN
        self.enter = nn.Linear(width, hidden)
        self.layers = nn.ModuleList(AttentionLayer(hidden) for _ in range(layers))
        self.leave = nn.LayerNorm(hidden)

    def forward(self, inputs: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Run over all steps; the state is (batch, up to layers * SPAN, width)."""
        outputs = []
        for piece in inputs.split(PIECE, dim=1):
            output, state = self._piece(piece, state)
            outputs.append(output)
        return torch.cat(outputs, dim=1), cast(torch.Tensor, state)

    def _piece(self, inputs: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        visible = inputs if state is None else torch.cat([state, inputs], dim=1)
        flow = self.enter(visible)
        for layer in self.layers:
            flow = layer(flow)
        return self.leave(flow[:, -inputs.shape[1] :]), visible[:, -self.reach :]


class AttentionLayer(nn.Module):
    """Attention, then a small network; each is added to its input."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.ask = nn.Linear(hidden, 3 * hidden)  # to query, key and value; stored weights carry these names
        self.answer = nn.Linear(hidden, hidden)
        self.bias = nn.Parameter(torch.zeros(HEADS, SPAN + 1))
        self.mixer = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Map (batch, steps, hidden) to the same shape."""
        batch, steps, hidden = flow.shape
        projected = self.ask(self.before(flow)).view(batch, steps, 3, HEADS, hidden // HEADS)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, self._mask(steps))
        flow = flow + self.answer(attended.transpose(1, 2).reshape(batch, steps, hidden))
        return flow + self.mixer(self.between(flow))

    def _mask(self, steps: int) -> torch.Tensor:
        """Return (heads, steps, steps): the bias of each distance, minus infinity for the future and beyond SPAN."""
        position = torch.arange(steps)
        distance = position[:, None] - position[None, :]
        allowed = (distance >= 0) & (distance <= SPAN)
        return self.bias[:, distance.clamp(0, SPAN)].masked_fill(~allowed, float("-inf"))

"""What lies before and behind the memory of a network, as two functions whose gradients are written out.

Autograd takes half as long again: it goes through memory once for each step of a formula.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from model.nn.likelihoods import Mixture, Powers, mark_gradient, mark_nats, mixture_gradient, mixture_nats

Gradients = tuple[torch.Tensor | None, ...]


class Entered(torch.autograd.Function):
    """(n, width): a row of each of two tables, and one number more."""

    @staticmethod
    def forward(
        ctx: Any,
        marks: torch.Tensor,
        states: torch.Tensor,
        mark: torch.Tensor,
        state: torch.Tensor,
        number: torch.Tensor,
    ) -> torch.Tensor:
        """mark, state and number: (n,)."""
        ctx.save_for_backward(mark, state, marks, states)
        return torch.cat([marks.index_select(0, mark), states.index_select(0, state), number[:, None]], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Gradients:
        """By both tables."""
        mark, state, marks, states = ctx.saved_tensors
        by_mark, by_state, _ = gradients[0].split([marks.shape[1], states.shape[1], 1], dim=1)
        added = torch.zeros_like(marks).index_add_(0, mark, by_mark)
        return added, torch.zeros_like(states).index_add_(0, state, by_state), None, None, None


class HeadNats(torch.autograd.Function):
    """Mean nats of n events: of their marks, and of their standardised log dt given the marks.

    memory (n, hidden), mark (n,), log_dt (n,). Weight and bias from memory to marks; a table of what is known of each
    given mark; weight and bias from memory and table to a layer of tanh, and from that layer to the mixture.
    """

    @staticmethod
    def forward(
        ctx: Any, memory: torch.Tensor, mark: torch.Tensor, log_dt: torch.Tensor, *weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Two scalars."""
        to_mark, mark_bias, table, to_layer, layer_bias, to_raw, raw_bias = weights
        from_memory, from_table = to_layer.split([memory.shape[1], table.shape[1]], dim=1)
        given = torch.addmm(layer_bias, table, from_table.T).index_select(0, mark)
        layer = given.addmm_(memory, from_memory.T).tanh_()
        of_mark, powers = mark_nats(torch.addmm(mark_bias[:, None], to_mark, memory.T), mark)
        of_slice, mixture = mixture_nats(torch.addmm(raw_bias[:, None], to_raw, layer.T), log_dt)
        ctx.save_for_backward(memory, mark, layer, to_mark, table, to_layer, to_raw, *powers, *mixture)
        return of_mark, of_slice

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Gradients:
        """By memory and all weights."""
        memory, mark, layer, to_mark, table, to_layer, to_raw, *kept = ctx.saved_tensors
        from_memory, from_table = to_layer.split([memory.shape[1], table.shape[1]], dim=1)
        powers, mixture = Powers(*kept[:3]), Mixture(*kept[3:])
        by_logit = mark_gradient(powers, mark, gradients[0] / len(mark))
        by_raw = mixture_gradient(mixture, gradients[1] / len(mark))
        by_layer = torch.ops.aten.tanh_backward(by_raw.T @ to_raw, layer)
        by_given = by_layer.new_zeros(len(table), layer.shape[1]).index_add_(0, mark, by_layer)
        by_memory = (by_logit.T @ to_mark).addmm_(by_layer, from_memory)
        by_to_layer = torch.cat([by_layer.T @ memory, by_given.T @ table], dim=1)
        of_mark = by_logit @ memory, by_logit.sum(1), by_given @ from_table
        return by_memory, None, None, *of_mark, by_to_layer, by_given.sum(0), by_raw @ layer, by_raw.sum(1)

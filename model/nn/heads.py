"""The two heads of a network as one function with its gradient written out.

With autograd (`cross_entropy`, `torch.distributions.Normal`, `logsumexp`) training takes 1.2 to 1.35 times the CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from model.nn.likelihoods import Mixture, Powers, mark_gradient, mark_nats, mixture_gradient, mixture_nats


class HeadNats(torch.autograd.Function):
    """Mean nats of n events: of their marks, and of their standardised log dt given the marks.

    memory (n, hidden), mark (n,), log_dt (n,). The weights, in order: weight and bias from memory to mark logits; an
    embedding of the given mark; weight and bias from memory and embedding to a tanh layer, and from it to the mixture.
    """

    @staticmethod
    def forward(
        ctx: Any, memory: torch.Tensor, mark: torch.Tensor, log_dt: torch.Tensor, *weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return two scalars."""
        to_mark, mark_bias, table, to_layer, layer_bias, to_raw, raw_bias = weights
        from_memory, from_table = to_layer.split([memory.shape[1], table.shape[1]], dim=1)
        mark_part = torch.addmm(layer_bias, table, from_table.T).index_select(0, mark)
        layer = mark_part.addmm_(memory, from_memory.T).tanh_()
        mark_loss, powers = mark_nats(torch.addmm(mark_bias[:, None], to_mark, memory.T), mark)
        slice_loss, mixture = mixture_nats(torch.addmm(raw_bias[:, None], to_raw, layer.T), log_dt)
        ctx.save_for_backward(memory, mark, layer, to_mark, table, to_layer, to_raw, *powers, *mixture)
        return mark_loss, slice_loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients with respect to memory and all weights; `by_x` is the gradient with respect to x."""
        memory, mark, layer, to_mark, table, to_layer, to_raw, *saved = ctx.saved_tensors
        from_memory, from_table = to_layer.split([memory.shape[1], table.shape[1]], dim=1)
        powers, mixture = Powers(*saved[:3]), Mixture(*saved[3:])
        by_logit = mark_gradient(powers, mark, gradients[0] / len(mark))
        by_raw = mixture_gradient(mixture, gradients[1] / len(mark))
        by_layer = torch.ops.aten.tanh_backward(by_raw.T @ to_raw, layer)
        by_mark_part = by_layer.new_zeros(len(table), layer.shape[1]).index_add_(0, mark, by_layer)
        by_memory = (by_logit.T @ to_mark).addmm_(by_layer, from_memory)
        by_to_layer = torch.cat([by_layer.T @ memory, by_mark_part.T @ table], dim=1)
        by_mark_and_table = by_logit @ memory, by_logit.sum(1), by_mark_part @ from_table
        return (
            by_memory,
            None,
            None,
            *by_mark_and_table,
            by_to_layer,
            by_mark_part.sum(0),
            by_raw @ layer,
            by_raw.sum(1),
        )

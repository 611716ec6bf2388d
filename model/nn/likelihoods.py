"""The likelihoods of marks and of standardised log dt, with their gradients written out (see `model.nn.heads`).

Tensors are (k, n), with n events side by side, so that a sum over the k values of an event adds whole rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

LOG_DEVIATION = (-4.0, 3.0)  # of log dt; keeps a component from collapsing onto one repeated value


class Powers(NamedTuple):
    """exp(value - largest) of values (k, n); the sum (n,) of these powers, and the largest value (n,)."""

    power: torch.Tensor
    total: torch.Tensor
    largest: torch.Tensor

    @classmethod
    def take(cls, value: torch.Tensor) -> Powers:
        """Compute them in place: `value` is overwritten."""
        largest = value.amax(0)
        power = value.sub_(largest).exp_()
        return cls(power, power.sum(0), largest)


def mark_nats(logit: torch.Tensor, mark: torch.Tensor) -> tuple[torch.Tensor, Powers]:
    """Return the mean nats of marks (n,) under a softmax over `logit` (marks, n), and what the gradient needs.

    `logit` is overwritten.
    """
    actual = logit.gather(0, mark[None])[0]
    powers = Powers.take(logit)
    return (powers.total.log() + powers.largest).sub_(actual).mean(), powers


def mark_gradient(powers: Powers, mark: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return the gradient by logit (marks, n): `scale` * (probability - 1 at the actual mark, else probability)."""
    probability = powers.power * (scale / powers.total)
    return probability.scatter_add_(0, mark[None], (-scale).expand(1, len(mark)))


class Mixture(NamedTuple):
    """The values that the gradient of `mixture_nats` needs; (k, n) unless a comment says otherwise."""

    z: torch.Tensor  # distance of the value from the mean, in deviations
    precision: torch.Tensor  # 1 / deviation
    unclamped: torch.Tensor  # 0 where the deviation is clamped, else 1
    weight: torch.Tensor  # of the component, times weight_total
    weight_total: torch.Tensor  # (n,)
    share: torch.Tensor  # of the component in the likelihood, times share_total
    share_total: torch.Tensor  # (n,)


def mixture_nats(raw: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, Mixture]:
    """Return the mean nats of values (n,) under a mixture of normals, and what the gradient needs.

    raw (3 k, n): log weights before their softmax (overwritten), means, and log deviations.
    """
    log_weight, mean, log_deviation = raw.chunk(3)
    clamped = log_deviation.clamp(*LOG_DEVIATION)
    precision = clamped.neg().exp_()
    z = (value - mean).mul_(precision)
    share = Powers.take((log_weight - clamped).addcmul_(z, z, value=-0.5))
    weight = Powers.take(log_weight)
    unclamped = clamped.eq_(log_deviation)
    nats = (weight.largest - share.largest).add_((weight.total / share.total).log_())
    mixture = Mixture(z, precision, unclamped, weight.power, weight.total, share.power, share.total)
    return nats.mean() + 0.5 * math.log(2 * math.pi), mixture


def mixture_gradient(mixture: Mixture, scale: torch.Tensor) -> torch.Tensor:
    """Return the gradient by raw (3 k, n), times `scale`. With r the share of a component in the likelihood it is

    weight - r by log weight; -r z / deviation by mean; r (1 - z^2) by log deviation, or 0 where that is clamped.
    """
    share = mixture.share * (scale / mixture.share_total)
    pull = share * mixture.z
    raw = torch.cat([share, share, share])
    by_weight, by_mean, by_deviation = raw.chunk(3)
    torch.mul(mixture.weight, scale / mixture.weight_total, out=by_weight).sub_(share)
    torch.mul(pull, mixture.precision, out=by_mean).neg_()
    by_deviation.addcmul_(pull, mixture.z, value=-1).mul_(mixture.unclamped)
    return raw

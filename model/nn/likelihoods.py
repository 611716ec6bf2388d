"""The likelihoods of marks and of standardised log dt, and their gradients, written out.

Autograd takes several times as long over the same: every step of a formula becomes a pass over memory and back.
Values lie (k, n), those of n events side by side, so that a sum over the k of an event adds up rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

LOG_DEVIATION = (-4.0, 3.0)  # of log dt; keeps a component from collapsing onto one repeated value


class Powers(NamedTuple):
    """exp(value - largest) of values (k, n), and for each of the n their sum and the largest value."""

    power: torch.Tensor
    total: torch.Tensor
    largest: torch.Tensor

    @classmethod
    def of(cls, value: torch.Tensor) -> Powers:
        """Takes the place of `value`, which is lost."""
        largest = value.amax(0)
        power = value.sub_(largest).exp_()
        return cls(power, power.sum(0), largest)


def mark_nats(logit: torch.Tensor, mark: torch.Tensor) -> tuple[torch.Tensor, Powers]:
    """Mean nats of the marks (n,) by a softmax over logits (marks, n), which are lost; what the gradient needs."""
    chosen = logit.gather(0, mark[None])[0]
    powers = Powers.of(logit)
    return (powers.total.log() + powers.largest).sub_(chosen).mean(), powers


def mark_gradient(kept: Powers, mark: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """By logit (marks, n): `scale` times (probability - 1 where it is the mark that came)."""
    probability = kept.power * (scale / kept.total)
    return probability.scatter_add_(0, mark[None], (-scale).expand(1, len(mark)))


class Mixture(NamedTuple):
    """What the gradient of `mixture_nats` needs; (k, n) each."""

    z: torch.Tensor  # distance of the value from the mean, in deviations
    precision: torch.Tensor  # 1 / deviation
    free: torch.Tensor  # 1 where the deviation is not clamped, else 0
    weight: torch.Tensor  # of the component, times weights (n,)
    weights: torch.Tensor
    share: torch.Tensor  # of the component in the likelihood, times shares (n,)
    shares: torch.Tensor


def mixture_nats(raw: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, Mixture]:
    """Mean nats of values (n,), and what the gradient needs.

    raw (3 k, n): log weights before their softmax, which are lost, means and log deviations.
    """
    log_weight, mean, log_deviation = raw.chunk(3)
    clamped = log_deviation.clamp(*LOG_DEVIATION)
    precision = clamped.neg().exp_()
    z = (value - mean).mul_(precision)
    share = Powers.of((log_weight - clamped).addcmul_(z, z, value=-0.5))
    weight = Powers.of(log_weight)
    free = clamped.eq_(log_deviation)
    nats = (weight.largest - share.largest).add_((weight.total / share.total).log_())
    kept = Mixture(z, precision, free, weight.power, weight.total, share.power, share.total)
    return nats.mean() + 0.5 * math.log(2 * math.pi), kept


def mixture_gradient(kept: Mixture, scale: torch.Tensor) -> torch.Tensor:
    """By raw (3 k, n), times `scale`. With r the share of a component in the likelihood: by log weight: weight - r; by
    mean: -r z / deviation; by log deviation: r (1 - z^2), or 0 where clamped."""
    share = kept.share * (scale / kept.shares)
    pull = share * kept.z
    raw = torch.cat([share, share, share])
    by_weight, by_mean, by_deviation = raw.chunk(3)
    torch.mul(kept.weight, scale / kept.weights, out=by_weight).sub_(share)
    torch.mul(pull, kept.precision, out=by_mean).neg_()
    by_deviation.addcmul_(pull, kept.z, value=-1).mul_(kept.free)
    return raw

from __future__ import annotations

import math

import torch

from model.mixture import LOG_DEVIATION, MixtureNats


def draws(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three components for 40 values, some deviations beyond the clamp."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(9, 40, generator=generator, dtype=torch.float64)
    raw[6:] *= 3
    assert (raw[6:] < LOG_DEVIATION[0]).any()
    assert (raw[6:] > LOG_DEVIATION[1]).any()
    return raw.requires_grad_(), torch.randn(40, generator=generator, dtype=torch.float64)


def by_autograd(raw: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    log_weight, mean, log_deviation = raw.chunk(3)
    log_deviation = log_deviation.clamp(*LOG_DEVIATION)
    z = (value - mean) / torch.exp(log_deviation)
    parts = torch.log_softmax(log_weight, 0) - z * z / 2 - log_deviation - math.log(2 * math.pi) / 2
    return -torch.logsumexp(parts, 0).mean()


def test_the_likelihood_is_that_of_the_formula() -> None:
    raw, value = draws()
    torch.testing.assert_close(MixtureNats.apply(raw, value), by_autograd(raw, value))


def test_the_gradient_is_that_of_the_formula() -> None:
    raw, value = draws()
    (own,) = torch.autograd.grad(3 * MixtureNats.apply(raw, value), raw)
    (expected,) = torch.autograd.grad(3 * by_autograd(raw, value), raw)
    torch.testing.assert_close(own, expected)

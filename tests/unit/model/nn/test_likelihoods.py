from __future__ import annotations

import math

import torch

from model.nn.likelihoods import LOG_DEVIATION, mark_gradient, mark_nats, mixture_gradient, mixture_nats


def draws(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three components for 40 values, some deviations beyond the clamp, some values a thousand deviations away."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(9, 40, generator=generator, dtype=torch.float64)
    raw[6:] *= 3
    raw[3:6, :5] += 30
    assert (raw[6:] < LOG_DEVIATION[0]).any()
    assert (raw[6:] > LOG_DEVIATION[1]).any()
    return raw.requires_grad_(), torch.randn(40, generator=generator, dtype=torch.float64)


def by_autograd(raw: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    log_weight, mean, log_deviation = raw.chunk(3)
    log_deviation = log_deviation.clamp(*LOG_DEVIATION)
    z = (value - mean) / torch.exp(log_deviation)
    parts = torch.log_softmax(log_weight, 0) - z * z / 2 - log_deviation - math.log(2 * math.pi) / 2
    return -torch.logsumexp(parts, 0).mean()


def test_the_likelihood_of_dt_is_that_of_the_formula() -> None:
    raw, value = draws()
    nats, _ = mixture_nats(raw.detach().clone(), value)
    torch.testing.assert_close(nats, by_autograd(raw, value).detach())


def test_the_gradient_of_dt_is_that_of_the_formula() -> None:
    raw, value = draws()
    _, mixture = mixture_nats(raw.detach().clone(), value)
    (expected,) = torch.autograd.grad(3 * by_autograd(raw, value), raw)
    torch.testing.assert_close(mixture_gradient(mixture, torch.tensor(3 / 40, dtype=torch.float64)), expected)


def test_the_likelihood_of_marks_is_that_of_a_softmax_and_so_is_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    logit = (100 * torch.randn(5, 40, generator=generator, dtype=torch.float64)).requires_grad_()
    mark = torch.randint(5, (40,), generator=generator)
    expected = torch.nn.functional.cross_entropy(logit.T, mark)
    nats, powers = mark_nats(logit.detach().clone(), mark)
    torch.testing.assert_close(nats, expected.detach())
    (by_logit,) = torch.autograd.grad(3 * expected, logit)
    torch.testing.assert_close(mark_gradient(powers, mark, torch.tensor(3 / 40, dtype=torch.float64)), by_logit)

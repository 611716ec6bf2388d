from __future__ import annotations

import numpy as np
import pytest

from model.density import BINS, Density, Histogram, LogNormalMixture, bin_of, crps


def mixture() -> LogNormalMixture:
    return LogNormalMixture(np.array([[0.3, 0.7]]), np.array([[1.0, 5.0]]), np.array([[0.5, 1.0]]))


def histogram() -> Histogram:
    return Histogram(np.random.default_rng(0).dirichlet(np.ones(BINS), 1))


def spread(density: Density, dt: np.ndarray) -> np.ndarray:
    """The density on a grid of dt, from one that holds a single row."""
    return np.array([density.log_pdf(np.array([value]))[0] for value in dt])


@pytest.mark.parametrize("density", [mixture(), histogram()])
def test_a_density_over_microseconds_integrates_to_one(density: Density) -> None:
    log_dt = np.linspace(np.log(0.1), np.log(1e7), 40_001)[:-1] + 1e-9
    dt = np.exp(log_dt)
    assert (np.exp(spread(density, dt)) * dt).sum() * (log_dt[1] - log_dt[0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("density", [mixture(), histogram()])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_quantiles_undo_the_cumulative_probability(density: Density, share: float) -> None:
    assert density.cdf(density.quantile(share))[0] == pytest.approx(share, abs=1e-6)


def test_a_log_normal_scores_as_its_formula_says() -> None:
    one = LogNormalMixture(np.array([[1.0]]), np.array([[3.0]]), np.array([[0.5]]))
    dt = np.array([40.0])
    z = (np.log(40.0) - 3.0) / 0.5
    assert one.log_pdf(dt)[0] == pytest.approx(-0.5 * z * z - np.log(0.5 * np.sqrt(2 * np.pi)) - np.log(40.0))


def test_what_lies_beyond_the_histogram_belongs_to_its_end_bins() -> None:
    assert bin_of(np.array([0.001, 0.1, 9.99e6, 1e9])).tolist() == [0, 0, BINS - 1, BINS - 1]
    assert np.isfinite(histogram().log_pdf(np.array([1e-3]))).all()


def test_crps_agrees_with_its_definition_by_sampling() -> None:
    draw = np.random.default_rng(0)
    one = LogNormalMixture(np.array([[1.0]]), np.array([[3.0]]), np.array([[0.5]]))
    left, right = np.exp(draw.normal(3.0, 0.5, (2, 200_000)))
    for dt in (5.0, 20.0, 60.0):
        expected = np.abs(left - dt).mean() - np.abs(left - right).mean() / 2
        assert crps(one, np.array([dt]))[0] == pytest.approx(expected, rel=0.05)

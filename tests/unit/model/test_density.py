from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.density import (
    BINS,
    FLOOR_WEIGHT,
    Density,
    Gompertz,
    Histogram,
    LogNormalMixture,
    PiecewiseLinearHazard,
    WithLogNormalFloor,
    bin_of,
    crps,
)

pytestmark = pytest.mark.slow


def mixture() -> LogNormalMixture:
    return LogNormalMixture(np.array([[0.3, 0.7]]), np.array([[1.0, 5.0]]), np.array([[0.5, 1.0]]))


def histogram() -> Histogram:
    return Histogram(np.random.default_rng(0).dirichlet(np.ones(BINS), 1))


def log_pdf_on_grid(density: Density, dt: np.ndarray) -> np.ndarray:
    """The log density of a single event at each dt."""
    return np.array([density.log_pdf(np.array([value]))[0] for value in dt])


@pytest.mark.parametrize("density", [mixture(), histogram()])
def test_a_density_over_microseconds_integrates_to_one(density: Density) -> None:
    log_dt = np.linspace(np.log(0.1), np.log(1e7), 40_001)[:-1] + 1e-9
    dt = np.exp(log_dt)
    assert (np.exp(log_pdf_on_grid(density, dt)) * dt).sum() * (log_dt[1] - log_dt[0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("density", [mixture(), histogram()])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_quantiles_undo_the_cumulative_probability(density: Density, share: float) -> None:
    assert density.cdf(density.quantile(share))[0] == pytest.approx(share, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_quantiles_of_a_density_wider_than_a_number_reaches_come_without_a_warning() -> None:
    wide = LogNormalMixture(np.ones((1, 1)), np.zeros((1, 1)), np.full((1, 1), 100.0))
    np.testing.assert_allclose(wide.quantile(0.5), 1.0, rtol=1e-3)


def test_a_log_normal_scores_as_its_formula_says() -> None:
    one = LogNormalMixture(np.array([[1.0]]), np.array([[3.0]]), np.array([[0.5]]))
    dt = np.array([40.0])
    z = (np.log(40.0) - 3.0) / 0.5
    assert one.log_pdf(dt)[0] == pytest.approx(-0.5 * z * z - np.log(0.5 * np.sqrt(2 * np.pi)) - np.log(40.0))


def test_a_length_beyond_the_histogram_counts_in_its_first_or_last_bin() -> None:
    assert bin_of(np.array([0.001, 0.1, 9.99e6, 1e9])).tolist() == [0, 0, BINS - 1, BINS - 1]
    assert np.isfinite(histogram().log_pdf(np.array([1e-3]))).all()


def test_crps_agrees_with_its_definition_by_sampling() -> None:
    draw = np.random.default_rng(0)
    one = LogNormalMixture(np.array([[1.0]]), np.array([[3.0]]), np.array([[0.5]]))
    left, right = np.exp(draw.normal(3.0, 0.5, (2, 200_000)))
    for dt in (5.0, 20.0, 60.0):
        expected = np.abs(left - dt).mean() - np.abs(left - right).mean() / 2
        assert crps(one, np.array([dt]))[0] == pytest.approx(expected, rel=0.05)


TIMES_US = np.geomspace(1e-3, 1e9, 400_001)


def gompertz(log_rate: float, slope: float) -> Gompertz:
    return Gompertz(np.array([log_rate]), slope, background=1e-3, longest=40.0, unit_us=50.0)


def piecewise_linear(rates: list[float]) -> PiecewiseLinearHazard:
    return PiecewiseLinearHazard(np.concatenate([[0.0], np.geomspace(0.1, 1e4, len(rates) - 1)]), np.array([rates]))


def repeat(density: Density, count: int) -> Density:
    """The same density for `count` events."""
    if isinstance(density, WithLogNormalFloor):
        return WithLogNormalFloor(repeat(density.base, count), density.mean, density.deviation)
    if isinstance(density, Gompertz):
        return replace(density, log_rate=np.repeat(density.log_rate, count))
    assert isinstance(density, PiecewiseLinearHazard)
    return PiecewiseLinearHazard(density.time_us, np.repeat(density.rate, count, axis=0))


CASES: dict[str, Density] = {
    "rising": gompertz(-1.0, 0.1),
    "falling": gompertz(0.5, -0.8),
    "constant": gompertz(-2.0, 0.0),
    "piecewise linear": piecewise_linear([0.5, 0.01, 0.2, 0.05, 0.001, 0.02]),
    "one rate": piecewise_linear([0.01] * 4),
    "with a floor": WithLogNormalFloor(gompertz(-1.0, 0.1), mean=4.0, deviation=1.5),
}


@pytest.mark.parametrize("name", CASES)
def test_the_density_is_the_derivative_of_the_cumulative_probability(name: str) -> None:
    wide = repeat(CASES[name], len(TIMES_US))
    rise = np.diff(wide.cdf(TIMES_US))
    pdf = np.exp(wide.log_pdf(TIMES_US))
    trapezoid = np.diff(TIMES_US) * (pdf[1:] + pdf[:-1]) / 2
    assert np.abs(rise - trapezoid).max() < 1e-6
    assert trapezoid.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("share", [1e-6, 0.1, 0.5, 0.9, 0.999])
def test_quantiles_of_a_hazard_undo_the_cumulative_probability(name: str, share: float) -> None:
    quantile = CASES[name].quantile(share)
    assert quantile[0] > 0
    assert CASES[name].cdf(quantile) == pytest.approx(share, rel=1e-6)


def test_a_slice_far_longer_than_a_rising_rate_allows_is_scored_by_the_log_normal_floor() -> None:
    rising, late = gompertz(-1.0, 1.0), np.array([1500.0])
    assert rising.log_pdf(late) < -1e9
    floored = WithLogNormalFloor(rising, mean=4.0, deviation=1.5)
    z = (np.log(1500.0) - 4.0) / 1.5
    floor = -0.5 * z * z - np.log(1500.0 * 1.5 * np.sqrt(2 * np.pi))
    assert floored.log_pdf(late) == pytest.approx(np.log(FLOOR_WEIGHT) + floor)


def test_a_constant_rate_gives_the_exponential_distribution() -> None:
    for density, rate in ((CASES["one rate"], 0.01), (gompertz(-2.0, 0.0), (np.exp(-2.0) + 1e-3) / 50)):
        dt = np.array([130.0])
        assert density.log_pdf(dt) == pytest.approx(np.log(rate) - rate * dt)
        assert density.quantile(0.5) == pytest.approx(np.log(2) / rate)


@given(st.floats(-12, 12), st.floats(-5, 1.0))
def test_every_gompertz_density_has_finite_quantiles(log_rate: float, slope: float) -> None:
    density = gompertz(log_rate, slope)
    low, median, high = (density.quantile(share)[0] for share in (0.1, 0.5, 0.9))
    assert 0 < low <= median <= high < np.inf
    assert np.isfinite(density.log_pdf(np.array([median])))

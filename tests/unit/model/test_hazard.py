from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.density import HEDGE, Hedged
from model.hazard import Gompertz, Knots

TIMES_US = np.geomspace(1e-3, 1e9, 400_001)


def gompertz(log_rate: float, slope: float) -> Gompertz:
    return Gompertz(np.array([log_rate]), slope, background=1e-3, longest=40.0, unit_us=50.0)


def knots(rates: list[float]) -> Knots:
    return Knots(np.concatenate([[0.0], np.geomspace(0.1, 1e4, len(rates) - 1)]), np.array([rates]))


def tables(density: Gompertz | Knots | Hedged, count: int) -> Gompertz | Knots | Hedged:
    """The same density for `count` events."""
    if isinstance(density, Hedged):
        return Hedged(tables(density.told, count), density.mean, density.deviation)
    if isinstance(density, Gompertz):
        repeated = np.repeat(density.log_rate, count)
        return Gompertz(repeated, density.slope, density.background, density.longest, density.unit_us)
    return Knots(density.time_us, np.repeat(density.rate, count, axis=0))


CASES = {
    "rising": gompertz(-1.0, 0.1),
    "falling": gompertz(0.5, -0.8),
    "constant": gompertz(-2.0, 0.0),
    "knots": knots([0.5, 0.01, 0.2, 0.05, 0.001, 0.02]),
    "one rate": knots([0.01] * 4),
    "hedged": Hedged(gompertz(-1.0, 0.1), mean=4.0, deviation=1.5),
}


@pytest.mark.parametrize("name", CASES)
def test_the_density_is_what_the_cumulative_probability_rises_by(name: str) -> None:
    wide = tables(CASES[name], len(TIMES_US))
    rise = np.diff(wide.cdf(TIMES_US))
    pdf = np.exp(wide.log_pdf(TIMES_US))
    trapezoid = np.diff(TIMES_US) * (pdf[1:] + pdf[:-1]) / 2
    assert np.abs(rise - trapezoid).max() < 1e-6
    assert trapezoid.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("share", [1e-6, 0.1, 0.5, 0.9, 0.999])
def test_a_quantile_is_where_the_cumulative_probability_is(name: str, share: float) -> None:
    found = CASES[name].quantile(share)
    assert found[0] > 0
    assert CASES[name].cdf(found) == pytest.approx(share, rel=1e-6)


def test_a_slice_that_outlives_a_rising_rate_costs_what_it_would_as_one_of_all_slices() -> None:
    rising, late = gompertz(-1.0, 1.0), np.array([1500.0])
    assert rising.log_pdf(late) < -1e9
    hedged = Hedged(rising, mean=4.0, deviation=1.5)
    z = (np.log(1500.0) - 4.0) / 1.5
    usual = -0.5 * z * z - np.log(1500.0 * 1.5 * np.sqrt(2 * np.pi))
    assert hedged.log_pdf(late) == pytest.approx(np.log(HEDGE) + usual)


def test_a_constant_rate_is_the_exponential_law() -> None:
    for density, rate in ((CASES["one rate"], 0.01), (gompertz(-2.0, 0.0), (np.exp(-2.0) + 1e-3) / 50)):
        at = np.array([130.0])
        assert density.log_pdf(at) == pytest.approx(np.log(rate) - rate * at)
        assert density.quantile(0.5) == pytest.approx(np.log(2) / rate)


@given(st.floats(-12, 12), st.floats(-5, 1.0))
def test_a_gompertz_density_is_always_one_that_ends(log_rate: float, slope: float) -> None:
    density = gompertz(log_rate, slope)
    low, median, high = (density.quantile(share)[0] for share in (0.1, 0.5, 0.9))
    assert 0 < low <= median <= high < np.inf
    assert np.isfinite(density.log_pdf(np.array([median])))

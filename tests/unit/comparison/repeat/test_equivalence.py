"""The statistics of comparing two runs, against their own definitions and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.comparison.repeat.equivalence import difference
from harness.comparison.statistics.inference import holm


def column(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_one_seed_gives_student_s_test_of_two_samples() -> None:
    first, second = column(421.7, 420.8, 421.2), column(424.0, 424.4)
    found = difference(first, second)
    reference = stats.ttest_ind(second[:, 0], first[:, 0])
    assert found.p == pytest.approx(reference.pvalue)
    interval = reference.confidence_interval(0.95)
    assert found.noise == pytest.approx((interval.high - interval.low) / 2)


def test_one_trial_each_shows_no_spread_whatever_the_number_of_seeds() -> None:
    for seeds in (1, 3):
        found = difference(np.full((1, seeds), 0.9), np.full((1, seeds), 0.8))
        assert (found.noise, found.p) == (None, None)


def test_one_trial_against_several_uses_the_spread_of_the_several() -> None:
    found = difference(column(10.0), column(10.0, 12.0, 11.0))
    assert found.noise == pytest.approx(stats.t.ppf(0.975, 2) * 1.0 * np.sqrt(1 + 1 / 3))


@pytest.mark.parametrize(("second", "p"), [(5.0, 1.0), (5.1, 0.0)])
def test_trials_without_any_spread_differ_by_anything_or_nothing(second: float, p: float) -> None:
    found = difference(column(5.0, 5.0), column(second, second))
    assert (found.noise, found.p) == (0.0, p)


def test_seeds_are_no_further_trials() -> None:
    trials = column(0.90, 0.92, 0.94)
    once, thrice = (
        difference(trials, trials + 0.01),
        difference(trials.repeat(3, axis=1), trials.repeat(3, axis=1) + 0.01),
    )
    assert thrice.noise == pytest.approx(once.noise)


def test_the_spread_of_seeds_adds_to_the_noise() -> None:
    trials, seeds = column(0.90, 0.92, 0.94), np.array([-0.02, 0.0, 0.02])
    without, with_spread = difference(trials, trials), difference(trials + seeds, trials + seeds)
    assert with_spread.noise is not None
    assert without.noise is not None
    assert with_spread.noise > without.noise * 1.1


@pytest.mark.parametrize(("trials", "seeds", "seed_spread"), [(2, 1, 0.0), (3, 3, 0.0), (3, 3, 1.0), (10, 2, 0.5)])
def test_two_runs_of_one_kind_rarely_differ_by_more_than_the_noise(trials: int, seeds: int, seed_spread: float) -> None:
    draw, beyond, runs = np.random.default_rng(7), 0, 1500

    def run() -> np.ndarray:
        return draw.normal(size=(trials, 1)) + seed_spread * draw.normal(size=(1, seeds))

    for _ in range(runs):
        found = difference(run(), run())
        assert found.noise is not None
        beyond += abs(found.value) > found.noise
    assert beyond / runs < 0.07


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []

"""The statistics of a comparison: against libraries, and against simulated campaigns whose truth is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from harness.comparison.statistics import inference
from harness.comparison.statistics.inference import Sample

sys.path.insert(0, str(Path(__file__).parents[4] / "benchmarks"))
import compare_coverage

CAMPAIGNS = 300
# In 1 of 1,000 sets of 300 campaigns, chance alone leaves these limits.
COVERAGE, ALARMS = (0.90, 0.99), 0.09


def sample(*values: float) -> Sample:
    return Sample((np.array(values),))


def draws(count: int, seed: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.0, count)


@pytest.mark.parametrize("count", [6, 9, 13])
def test_sign_flips_are_the_exact_permutation_test_of_scipy(count: int) -> None:
    values = draws(count)
    reference = stats.permutation_test(
        (values,), lambda v, axis: v.mean(axis=axis), permutation_type="samples", vectorized=True, n_resamples=9_999
    )
    assert inference.p_of_sign_flips(Sample((values,))) == pytest.approx(reference.pvalue, abs=1e-12)


def test_many_units_draw_their_signs_and_never_give_a_p_value_of_zero() -> None:
    assert float(inference.p_of_sign_flips(Sample((draws(40) + 9,)))) == pytest.approx(1e-4)
    exact = stats.ttest_1samp(draws(40), 0).pvalue
    assert float(inference.p_of_sign_flips(Sample((draws(40),)))) == pytest.approx(exact, abs=0.02)


def test_equivalence_is_the_two_one_sided_tests_of_statsmodels() -> None:
    values = draws(10) / 10
    p, within = inference.equivalence(Sample((values,)), 0.1)
    assert float(p) == pytest.approx(DescrStatsW(values).ttost_mean(-0.1, 0.1)[0])
    assert float(inference.equivalence(Sample((values,)), float(within))[0]) == pytest.approx(0.05)


@pytest.mark.parametrize("sizes", [(8, 1), (1, 1, 9), (3, 1, 6)])
def test_a_unit_alone_in_its_group_counts_in_the_mean_and_has_no_spread_of_its_own(sizes: tuple[int, ...]) -> None:
    values = np.random.default_rng(7).normal(0.3, 1.0, (40, sum(sizes)))
    units = Sample(tuple(np.split(values, np.cumsum(sizes)[:-1], axis=-1)))
    low, high = inference.interval(units, 999)
    half = stats.t.ppf(0.975, sum(sizes) - len(sizes)) * units.error
    assert np.all(low <= values.mean(axis=-1) - half + 1e-12)
    assert np.mean(high - low) == pytest.approx(np.mean(2 * half), rel=0.15)


def test_the_interval_is_near_that_of_student_and_never_narrower() -> None:
    values = draws(30)
    low, high = inference.interval(Sample((values,)))
    student = DescrStatsW(values).tconfint_mean()
    assert low <= student[0] + 1e-9
    assert high >= student[1] - 1e-9
    assert (low, high) == pytest.approx(student, abs=0.05)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.02, 2 / 64)])
def test_identical_units_have_an_interval_without_width(value: float, p: float) -> None:
    units = sample(*[value] * 6)
    low, high = inference.interval(units)
    assert (float(low), float(high)) == pytest.approx((value, value), abs=1e-12)
    assert float(inference.p_of_sign_flips(units)) == p
    equal, within = inference.equivalence(units, 0.01)
    assert (float(equal), float(within)) == (float(value > 0.01), pytest.approx(value))
    assert float(inference.detectable(units)) == 0.0


def test_groups_of_units_lend_no_spread_to_the_interval() -> None:
    near = [0.0, 0.1, 0.2, 0.1, 0.05]
    apart = Sample((np.array(near), np.array(near) + 10))
    together = Sample((np.concatenate(apart.groups),))
    widths = [np.subtract(*inference.interval(units)[::-1]) for units in (apart, together)]
    assert widths[0] < 0.2 < 5 < widths[1]


def test_five_units_are_too_few_and_six_are_enough() -> None:
    assert not sample(*range(5)).is_large_enough
    assert sample(*range(6)).is_large_enough
    assert not Sample((np.arange(3.0), np.arange(3.0))).is_large_enough  # two fixed groups


@pytest.mark.parametrize(
    "case",
    [
        compare_coverage.Case(1, 1, 6),
        compare_coverage.Case(1, 1, 12, "skewed"),
        compare_coverage.Case(1, 1, 30, "ties"),
        compare_coverage.Case(1, 8, 1),
        compare_coverage.Case(2, 6, 2),
        compare_coverage.Case(6, 1, 5),
    ],
    ids=lambda case: case.name,
)
def test_intervals_hold_the_truth_and_equals_are_rarely_called_different(case: compare_coverage.Case) -> None:
    found = compare_coverage.run(case, CAMPAIGNS)
    assert COVERAGE[0] <= found.coverage <= COVERAGE[1]
    assert found.alarms <= ALARMS
    assert 0.68 <= found.power <= 0.92


def test_a_rare_jump_of_one_arm_is_where_few_blocks_do_not_hold() -> None:
    few, many = (compare_coverage.run(compare_coverage.Case(1, 1, n, "one arm jumps"), CAMPAIGNS) for n in (8, 60))
    assert few.coverage < 0.75 < many.coverage


def test_holm_keeps_false_alarms_of_twenty_metrics_rare() -> None:
    assert compare_coverage.family_alarms(12, CAMPAIGNS) <= ALARMS


def test_stopping_at_a_width_leaves_the_interval_nearly_whole() -> None:
    found = compare_coverage.stopped(2.0, campaigns=CAMPAIGNS)
    assert found.coverage >= 0.88
    assert found.null_alarms <= ALARMS

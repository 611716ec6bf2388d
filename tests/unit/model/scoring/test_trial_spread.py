"""Trials that differ by more than their own noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks import coverage
from model.scoring.trial_spread import BlockMean, block_mean, chance_of_spread, differ


def simulated(kind: str, trials: int, spread: float, rng: np.random.Generator) -> list[BlockMean]:
    value, trial = coverage.simulate(kind, trials, spread, rng)
    events = coverage.EVENTS
    return [block_mean(value[trial == i], np.ones(events), np.zeros(events, int)) for i in range(trials)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", coverage.KINDS)
@pytest.mark.parametrize("trials", coverage.TRIALS)
def test_equal_trials_are_said_to_differ_five_times_in_a_hundred_and_unlike_ones_mostly(kind: str, trials: int) -> None:
    rng = np.random.default_rng(trials)
    equal = np.mean([differ(simulated(kind, trials, 0, rng)) is True for _ in range(600)])
    unlike = np.mean([differ(simulated(kind, trials, 4, rng)) is True for _ in range(100)])
    assert 0.02 < equal < 0.09
    assert unlike > 0.4


def test_the_test_is_welchs() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.normal(0, deviation, size) for deviation, size in ((1, 6), (2, 9), (0.5, 20))]
    means = [BlockMean(each.mean(), each.std(ddof=1) / len(each) ** 0.5, len(each)) for each in groups]
    assert chance_of_spread(means) == pytest.approx(stats.f_oneway(*groups, equal_var=False).pvalue)


def test_the_error_of_a_trial_is_that_of_its_blocks() -> None:
    value = np.repeat(np.random.default_rng(1).uniform(size=20), 1_000)
    mean = block_mean(value, np.ones(20_000), np.zeros(20_000, int))
    assert (mean.mean, mean.blocks) == (pytest.approx(value.mean()), 20)
    assert mean.error == pytest.approx(value[::1_000].std(ddof=1) / 20**0.5)


def test_too_little_is_known_of_one_trial_of_few_blocks_and_of_trials_without_noise() -> None:
    one, few = BlockMean(0.5, 0.1, 20), BlockMean(0.5, None, 3)
    assert differ([one]) is None
    assert differ([one, few]) is None
    assert differ([one, BlockMean(0.9, 0.0, 20)]) is None
    assert differ([BlockMean(0.5, 0.0, 20), BlockMean(0.9, 0.0, 20)]) is True
    assert differ([BlockMean(1.0, 0.0, 20), BlockMean(1.0, 0.0, 20)]) is False
    assert differ([one, BlockMean(0.9, 1e-320, 20)]) is None
    assert block_mean(np.ones(10), np.zeros(10), np.zeros(10, int)) == BlockMean(None, None, 0)

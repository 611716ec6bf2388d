from __future__ import annotations

import numpy as np
import pytest

from benchmarks import coverage
from model.scoring.bootstrap import (
    Blocks,
    block_starts,
    mean_interval,
    seed_difference_interval,
    seed_interval,
    stream_lengths,
)


def test_the_interval_holds_the_mean_and_shrinks_with_more_events() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.uniform(size=4_000), rng.uniform(size=64_000)
    narrow, wide = mean_interval(many), mean_interval(few)
    assert narrow is not None
    assert wide is not None
    assert narrow[0] < 0.5 < narrow[1]
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2


def test_runs_of_equal_values_widen_the_interval() -> None:
    single = np.random.default_rng(1).integers(0, 2, 20_000)
    in_runs = np.repeat(single[:200], 100)
    narrow, wide = mean_interval(single), mean_interval(in_runs)
    assert wide is not None
    assert narrow is not None
    assert wide[1] - wide[0] > 5 * (narrow[1] - narrow[0])


def test_a_weight_of_zero_takes_an_event_out() -> None:
    value = np.concatenate([np.zeros(5_000), np.ones(5_000)])
    assert mean_interval(value, weight=value) == pytest.approx((1.0, 1.0))


def test_too_few_events_have_no_interval() -> None:
    assert mean_interval(np.ones(15)) is None
    assert mean_interval(np.ones(1000), np.zeros(1000)) is None


def test_rare_events_have_an_interval_only_if_they_lie_in_five_blocks_or_more() -> None:
    value = np.random.default_rng(3).uniform(1, 2, 20_000)
    block = np.arange(20_000) // 1000
    assert mean_interval(value, (block < 4).astype(float)) is None
    low, high = mean_interval(value, (block < 5).astype(float)) or (0, 0)
    assert 1.4 < low < high < 1.6


def test_the_interval_over_seeds_is_students() -> None:
    low, high = seed_interval([1.0, 2.0, 3.0]) or (0, 0)
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-3)
    assert seed_interval([1.0]) is None


@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "least"), [(5, 0.91), (20, 0.935)])
def test_intervals_of_few_blocks_hold_the_true_value_about_95_times_in_a_hundred(blocks: int, least: float) -> None:
    rng = np.random.default_rng(5)
    weight = np.arange(200) // 10 < blocks  # 200 events make 20 blocks of 10
    held = 0
    for seed in range(1_000):
        value = np.repeat(rng.normal(size=20), 10) + rng.normal(size=200)
        low, high = mean_interval(value, weight, seed=seed) or (0, 0)
        held += low <= 0 <= high
    assert least < held / 1_000 < 0.975


def test_intervals_over_the_seeds_of_both_sides_hold_the_true_difference_95_times_in_a_hundred() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(2_000):
        low, high = seed_difference_interval(rng.normal(1, 1, 3).tolist(), rng.normal(1, 3, 3).tolist()) or (0, 0)
        held += low <= 0 <= high
    assert 0.935 < held / 2_000 < 0.965


def test_a_side_of_one_seed_adds_nothing_to_the_interval_over_seeds() -> None:
    assert seed_difference_interval([1.0, 2.0, 3.0], [5.0]) == pytest.approx(
        [one - 5 for one in seed_interval([1.0, 2.0, 3.0]) or ()]
    )
    assert seed_difference_interval([1.0], [2.0, 3.0]) is None
    assert seed_difference_interval([1.0, 1.0], [3.0, 3.0]) == (-2.0, -2.0)


def test_no_block_crosses_the_end_of_a_stream() -> None:
    lengths = np.array([2_500, 999, 10, 40_001])
    begin = block_starts(lengths)
    seams = np.cumsum(lengths)[:-1]
    assert set(seams) <= set(begin.tolist())
    assert np.diff([*begin, lengths.sum()]).max() <= 1_250
    assert stream_lengths(np.repeat([3, 1, 2, 0], lengths)).tolist() == lengths.tolist()


def test_no_block_mixes_events_of_two_streams() -> None:
    lengths = [10_500, 10_500]  # 21 blocks of 1,000 would have one that is half of this stream and half of that
    value = np.repeat([0.0, 1.0], lengths)
    blocks = Blocks.draw(np.repeat([0, 1], lengths))
    means = np.add.reduceat(value, blocks.begin) / np.diff([*blocks.begin, len(value)])
    assert set(means.tolist()) == {0.0, 1.0}


def test_very_long_recordings_have_longer_blocks_not_more() -> None:
    assert len(block_starts(np.array([50_000_000]))) == 2_000


def test_sums_by_symbol_are_those_of_the_drawn_blocks() -> None:
    symbol = np.random.default_rng(2).integers(0, 3, 5_000)
    blocks = Blocks.draw(np.repeat([0, 1], 2_500))
    counted = blocks.symbol_sums(symbol, 3, np.ones(5_000))
    by_hand = blocks.sums((symbol[:, None] == np.arange(3)).astype(float))
    assert np.array_equal(counted, by_hand)
    assert blocks.times.sum(axis=1).tolist() == [len(blocks.begin)] * len(blocks.times)


@pytest.mark.slow
@pytest.mark.parametrize("kind", coverage.KINDS)
@pytest.mark.parametrize("spread", coverage.SPREADS)
@pytest.mark.parametrize("trials", coverage.TRIALS)
def test_intervals_over_few_trials_hold_the_true_score_95_times_in_a_hundred(
    kind: str, spread: float, trials: int
) -> None:
    held = coverage.coverage(coverage.over_trials, kind, trials, spread, simulations=400)
    assert (
        0.92 < held <= (0.985 if spread > 1 else 1)
    )  # trials that do not differ have the interval of the blocks at least


def test_intervals_within_trials_do_not_hold_the_score_of_other_trials() -> None:
    assert coverage.coverage(coverage.within, "share", 3, 4, simulations=200) < 0.7
    assert coverage.coverage(coverage.resampled, "share", 3, 4, simulations=200) < 0.85


def test_trials_of_unequal_lengths_are_weighed_by_their_events() -> None:
    rng, held = np.random.default_rng(7), 0
    trial = np.repeat(np.arange(4), [200, 300, 400, 600])
    for seed in range(400):
        value = np.repeat(rng.normal(0, 1, 4), np.bincount(trial)) + rng.normal(size=1_500)
        low, high = mean_interval(value, stream=trial, trial=trial, seed=seed) or (0, 0)
        assert low < value.mean() < high
        held += low <= 0 <= high
    assert 0.92 < held / 400 < 0.98


def test_the_interval_of_equal_trials_is_students_over_their_scores() -> None:
    scores = np.array([0.2, 0.5, 0.6])
    value, trial = np.repeat(scores, 1_000), np.repeat([0, 1, 2], 1_000)
    half = 4.30265 * scores.std(ddof=1) / 3**0.5
    assert mean_interval(value, stream=trial, trial=trial) == pytest.approx(
        (scores.mean() - half, scores.mean() + half), rel=1e-5
    )


def test_trials_that_agree_by_chance_have_no_narrower_interval_than_their_blocks() -> None:
    value, trial = np.tile(np.random.default_rng(8).uniform(size=1_000), 2), np.repeat([0, 1], 1_000)
    assert mean_interval(value, stream=trial, trial=trial) == mean_interval(value, stream=trial)


def test_events_of_one_of_several_trials_have_no_interval() -> None:
    value, trial = np.random.default_rng(9).uniform(size=10_000), np.repeat([0, 1], 5_000)
    assert mean_interval(value, weight=trial == 0, stream=trial, trial=trial) is None
    assert mean_interval(value, weight=trial == 0, stream=trial) is not None

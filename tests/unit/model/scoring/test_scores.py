from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from model.data import streams, synthetic
from model.data.marks import UNKNOWN
from model.density import LogNormalMixture
from model.errors import StreamError
from model.predictor import Prediction, ignore_progress
from model.predictors import create
from model.scoring import metrics, rollout, scores
from model.scoring.bootstrap import Blocks
from model.scoring.outcomes import Outcomes, evaluate


class Constant:
    """Predicts the same for every event."""

    inputs, seeded = "marks", False

    def __init__(self, probability: list[float]) -> None:
        self.probability = np.array(probability)

    def predict(self, segment: streams.Segment) -> Prediction:
        ones = np.ones((len(segment), 1))
        return Prediction(np.tile(np.log(self.probability), (len(segment), 1)), LogNormalMixture(ones, 3 * ones, ones))


def segment_of(dataset: streams.Dataset, **changes: np.ndarray) -> streams.Segment:
    """The first events of the dataset, some columns changed."""
    stream, size = dataset.test[0].stream, len(next(iter(changes.values())))
    cut = {name: getattr(stream, name)[:size] for name in ("tid", "prio", "start_ns", "slice_ns", "end_state")}
    cut |= {"mark": stream.mark[:size], "wake_ns": stream.wake_ns[:size], "contested": stream.contested[:size]}
    return streams.Segment(dataclasses.replace(stream, **{**cut, **changes}), 0, size)


def test_hits_and_bits_by_hand(dataset: streams.Dataset) -> None:
    segment = segment_of(dataset, mark=np.array([1, 2, 3, 4]), contested=np.array([True, True, False, False]))
    outcomes = evaluate(Constant([0.02, 0.5, 0.25, 0.125, 0.1, 0.005]), [segment])
    assert outcomes.hit.tolist() == [True, False, False, False]
    assert outcomes.hit3.tolist() == [True, True, True, False]
    assert outcomes.bits == pytest.approx([1, 2, 3, -np.log2(0.1)])
    table = scores.score_outcomes(outcomes)
    assert (table["contested"]["top1"], table["forced"]["top1"]) == (0.5, 0.0)
    assert table["share_contested"] == 0.5


def test_betting_on_the_unknown_names_no_task(dataset: streams.Dataset) -> None:
    segment = segment_of(dataset, mark=np.array([UNKNOWN, UNKNOWN]))
    outcomes = evaluate(Constant([0.9, 0.02, 0.02, 0.02, 0.02, 0.02]), [segment])
    assert not outcomes.hit.any()
    assert outcomes.bits == pytest.approx([-np.log2(0.9)] * 2)
    assert scores.score_outcomes(outcomes)["overall"]["top1_known"] is None


class NamesTasks(Constant):
    """Names a runnable task at every event."""

    def __init__(self, probability: list[float], tid: list[int]) -> None:
        super().__init__(probability)
        self.tid = np.array(tid)

    def predict(self, segment: streams.Segment) -> Prediction:
        return dataclasses.replace(super().predict(segment), tid=self.tid)


def test_a_task_without_a_mark_is_hit_by_its_tid(dataset: streams.Dataset) -> None:
    segment = segment_of(dataset, mark=np.array([UNKNOWN, UNKNOWN, 1]), tid=np.array([7, 8, 9]))
    outcomes = evaluate(NamesTasks([0.02, 0.9, 0.02, 0.02, 0.02, 0.02], tid=[7, 9, -1]), [segment])
    assert outcomes.hit.tolist() == outcomes.hit3.tolist() == [True, False, True]


def test_chance_is_one_over_the_number_of_tasks_that_could_be_switched_to(dataset: streams.Dataset) -> None:
    runnable = [[7, 8], [7, 8], [8, 9, 7], [9]]  # 7 is preempted by 8, 8 by 9, and 9 sleeps
    segment = segment_of(
        dataset,
        tid=np.array([7, 8, 9, 9]),
        mark=np.array([1, 2, 3, 3]),
        contested=np.array([True, True, True, False]),
        runnable_at=np.array([0, 2, 4, 7, 8]),
        runnable_tid=np.array([tid for tids in runnable for tid in tids]),
        runnable_mark=np.array([tid - 6 for tids in runnable for tid in tids]),
    )
    outcomes = evaluate(Constant([0.02, 0.5, 0.25, 0.125, 0.1, 0.005]), [segment])
    assert outcomes.chance.tolist() == [1 / 2, 1, 1 / 2, 1]
    assert outcomes.open.tolist() == [True, False, True, False]
    assert scores.score_outcomes(outcomes)["contested"]["chance_top1"] == pytest.approx(2 / 3)


def test_the_right_order_is_within_two_percent_of_the_sources_entropy(
    dataset: streams.Dataset, source: synthetic.Source
) -> None:
    markov = create("markov", {"order": 2})
    markov.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    overall = scores.score_outcomes(evaluate(markov, dataset.test))["overall"]
    assert overall["bits_per_switch"] == pytest.approx(source.entropy_bits(), rel=0.02)
    assert overall["time_bits"] == pytest.approx(source.slice_bits(), abs=0.09)
    assert overall["calibration_error"] < 0.03
    assert overall["time_calibration_error"] < 0.03


def test_each_recording_has_scores_of_its_own(dataset: streams.Dataset) -> None:
    first = segment_of(dataset, mark=np.array([1, 1, 2, 2]), contested=np.array([True, True, False, False]))
    second = segment_of(dataset, mark=np.array([2, 1]), contested=np.array([False, False]))
    folder = first.stream.folder
    second = streams.Segment(dataclasses.replace(second.stream, folder=folder.with_name("001_known")), 0, 2)
    outcomes = evaluate(Constant([0.02, 0.5, 0.25, 0.125, 0.1, 0.005]), [first, second])
    few = {"top1_se": None, "contested_top1_se": None, "bits_per_switch_se": None, "blocks": 1}
    assert scores.score_recordings(outcomes, [first, second]) == {
        "000_known": {"top1": 0.5, "contested_top1": 1.0, "bits_per_switch": 1.5, **few, "contested_blocks": 1},
        "001_known": {"top1": 0.5, "contested_top1": None, "bits_per_switch": 1.5, **few, "contested_blocks": 0},
    }


def test_recordings_of_the_same_name_are_not_scored_as_one(dataset: streams.Dataset) -> None:
    first, second = (segment_of(dataset, mark=np.full(4, mark)) for mark in (1, 2))
    other = first.stream.folder.parent / "another" / first.stream.folder.name
    second = streams.Segment(dataclasses.replace(second.stream, folder=other), 0, 4)
    outcomes = evaluate(Constant([0.02, 0.5, 0.25, 0.125, 0.1, 0.005]), [first, second])
    rows = scores.score_recordings(outcomes, [first, second])
    assert {name: row["top1"] for name, row in rows.items()} == {str(first.stream.folder): 1.0, str(other): 0.0}


def test_an_empty_test_part_is_refused(dataset: streams.Dataset) -> None:
    with pytest.raises(StreamError, match="test part is empty"):
        evaluate(Constant([1.0]), [])


def test_a_part_without_events_has_no_scores(dataset: streams.Dataset) -> None:
    segment = segment_of(dataset, contested=np.zeros(40, bool))
    table = scores.score_outcomes(evaluate(Constant([0.5, 0.1, 0.1, 0.1, 0.1, 0.1]), [segment]))
    assert table["contested"] == {"events": 0}
    assert table["open"] == {"events": 0}


def test_every_score_has_an_interval_that_holds_it(dataset: streams.Dataset) -> None:
    markov = create("markov", {"order": 1})
    markov.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    table = scores.score_outcomes(evaluate(markov, dataset.test))
    for part in scores.PARTS:
        rows: dict = table[part]
        for name, interval in metrics.INTERVALS.items():
            assert rows[interval][0] <= rows[name] <= rows[interval][1]
        for name in ("top1", "top1_known", "top3", "macro_recall", "time_crps_us", "calibration_error", "joint_bits"):
            assert rows[f"{name}_ci"][0] <= rows[name] <= rows[f"{name}_ci"][1]
        assert rows["time_calibration_error_ci"][0] <= rows["time_calibration_error"]
        assert sum(rows["time_pit"]) == pytest.approx(1)


def twenty_blocks(chosen: np.ndarray) -> tuple[dict, dict]:
    """Scores of the chosen of 20,000 events in 20 blocks, every other one a hit, and scores of all events."""
    mark, half = np.arange(20_000) % 5 + 1, np.arange(20_000) % 2 == 0
    rank = np.random.default_rng(1).uniform(size=20_000)
    bits = 1 + rank / 10
    columns = (mark * 0, mark, chosen, chosen, bits, half, half, bits, bits / 3, bits, bits, bits, rank, mark * 0)
    outcomes = Outcomes(*columns)
    return metrics.score_part(outcomes, chosen, Blocks.draw(outcomes.stream)), metrics.score_part(
        outcomes, bits > 0, Blocks.draw(outcomes.stream)
    )


def test_events_in_few_blocks_have_scores_and_no_interval() -> None:
    table, whole = twenty_blocks(np.arange(20_000) // 30 == 100)
    assert table["events"] == 30
    assert 1 < table["bits_per_switch"] < 1.1
    intervals = [name for name in table if name.endswith("_ci")]
    assert "bits_ci" in intervals
    assert [table[name] for name in intervals] == [None] * len(intervals)
    assert None not in [whole[name] for name in intervals]


def test_a_draw_without_any_of_the_events_does_not_count_as_a_score_of_zero() -> None:
    table, _ = twenty_blocks(np.isin(np.arange(20_000) // 1000, (2, 5, 9, 14, 17)) & (np.arange(20_000) % 200 == 0))
    assert table["events"] == 25
    assert 1 < table["bits_ci"][0] < table["bits_per_switch"] < table["bits_ci"][1] < 1.1
    for name in ("top1_ci", "top1_known_ci", "macro_recall_ci"):
        assert table[name] == (1.0, 1.0)
    assert table["calibration_error_ci"][0] > 0
    assert table["time_calibration_error_ci"][0] > 0


def test_a_predictor_is_chosen_by_hits_and_bits(dataset: streams.Dataset) -> None:
    segment = segment_of(dataset, mark=np.array([1, 2, 3, 4]), contested=np.array([True, True, False, False]))
    rows = scores.score_for_selection(Constant([0.02, 0.5, 0.25, 0.125, 0.1, 0.005]), [segment])
    assert rows["contested"] == {"events": 2, "top1": 0.5, "bits_per_switch": 1.5}
    assert rows["overall"]["top1"] == 0.25
    assert scores.score_for_selection(Constant([1.0]), [])["overall"] == {"events": 0}


@pytest.mark.slow
def test_a_rollout_of_the_right_model_looks_like_the_real_continuation(dataset: streams.Dataset) -> None:
    markov = create("markov", {"order": 2})
    markov.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    sampled = rollout.sample_rollout(markov, dataset.train, dataset.test[0], 1000, seed=0)
    assert sampled is not None
    distances = rollout.compare_rollout(sampled, dataset.test[0], dataset.vocabulary.names)
    floor = create("most_frequent", {})
    floor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    memoryless = rollout.sample_rollout(floor, dataset.train, dataset.test[0], 1000, seed=0)
    assert memoryless is not None
    other = rollout.compare_rollout(memoryless, dataset.test[0], dataset.vocabulary.names)
    assert distances["mark_distance"] < 0.15
    assert distances["slice_distance"] < 0.15
    assert distances["pair_distance"] < other["pair_distance"] / 1.5
    assert distances["triple_distance"] < other["triple_distance"] / 1.5


def test_a_rollout_is_measured_against_the_distance_between_real_events(dataset: streams.Dataset) -> None:
    test = dataset.test[0]
    for steps, other in (
        (500, slice(test.start + 500, test.start + 1000)),
        (len(test), slice(test.start - len(test), test.start)),
    ):
        real = slice(test.start, test.start + steps)
        sampled = rollout.Rollout(test.stream.mark[other].astype(np.int64), test.stream.slice_us()[other])
        assert len(sampled.mark) == steps == real.stop - real.start
        distances = rollout.compare_rollout(sampled, test, dataset.vocabulary.names)
        for kind in ("mark", "pair", "triple", "slice"):  # a rollout that is real does as well as real events do
            assert distances[f"{kind}_distance"] == pytest.approx(distances[f"real_{kind}_distance"])


def test_the_same_seed_samples_the_same_events(dataset: streams.Dataset) -> None:
    markov = create("markov", {"order": 1})
    markov.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    first, again, other = (
        rollout.sample_rollout(markov, dataset.train, dataset.test[0], 50, seed) for seed in (1, 1, 2)
    )
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.slice_us.tolist() == again.slice_us.tolist()
    assert first.slice_us.tolist() != other.slice_us.tolist()

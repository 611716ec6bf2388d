from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from locations import DATA
from sklearn.ensemble import GradientBoostingClassifier

from model.data import streams
from model.data.streams import Dataset, Segment
from model.predictor import Predictor, ignore_progress
from model.predictors.replay_residual import ReplayResidual
from model.predictors.scheduling_policy import EevdfReplay
from model.predictors.trees import TreeEnsemble
from model.replay.candidates import FEATURES, Candidates
from model.replay.cfs_replay import ReplayedCfs
from model.replay.eevdf_replay import GroupedOrFlatEevdf
from model.replay.events import read_events
from model.replay.kernel import create_replay
from model.replay.names import ThreadNames, read_thread_names
from model.scoring.scores import score_for_selection

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def guest() -> Dataset:
    return streams.load([DATA / "eevdf_6_12"], split=(0.6, 0.2, 0.2))


@pytest.fixture(scope="module")
def learned(guest: Dataset) -> tuple[ReplayResidual, list[dict[str, float]]]:
    """The fitted predictor and its history."""
    predictor = ReplayResidual()
    return predictor, predictor.fit(guest.train, guest.valid, len(guest.vocabulary), ignore_progress)


@pytest.fixture(scope="module")
def replay(guest: Dataset) -> EevdfReplay:
    """The replay without trees."""
    predictor = EevdfReplay()
    predictor.fit(guest.train, guest.valid, len(guest.vocabulary), ignore_progress)
    return predictor


def scores(predictor: Predictor, segments: tuple[Segment, ...]) -> dict[str, Any]:
    return score_for_selection(predictor, segments)["overall"]


def test_the_trees_cost_the_replay_no_hit_and_no_bit_on_the_part_they_were_chosen_by(
    guest: Dataset, learned: tuple[ReplayResidual, list], replay: EevdfReplay
) -> None:
    corrected, bare = scores(learned[0], guest.valid), scores(replay, guest.valid)
    assert corrected["top1"] >= bare["top1"]
    assert corrected["bits_per_switch"] < bare["bits_per_switch"]


def test_the_trees_save_bits_on_switches_they_have_not_seen(
    guest: Dataset, learned: tuple[ReplayResidual, list], replay: EevdfReplay
) -> None:
    corrected, bare = scores(learned[0], guest.test), scores(replay, guest.test)
    assert corrected["top1"] > 0.98
    assert corrected["bits_per_switch"] < bare["bits_per_switch"]


def test_without_a_validation_part_it_is_the_replay(guest: Dataset, replay: EevdfReplay) -> None:
    learner = ReplayResidual()
    learner.fit(guest.train, (), len(guest.vocabulary), ignore_progress)
    log_probs = learner.predict(guest.test[0]).log_probs
    assert log_probs == pytest.approx(replay.predict(guest.test[0]).log_probs)


def test_too_few_contested_switches_grow_no_trees(guest: Dataset) -> None:
    stream = guest.train[0].stream
    few = (Segment(stream, 0, 60),)
    learner = ReplayResidual()
    assert learner.fit(few, few, len(guest.vocabulary), ignore_progress) == []
    assert learner.trees is None
    assert np.isfinite(learner.predict(guest.test[0]).log_probs).all()


def test_the_history_has_the_score_of_each_share_of_the_trees(learned: tuple[ReplayResidual, list]) -> None:
    learner, history = learned
    bare = next(row for row in history if row["share"] == 0)
    chosen = [row for row in history if row["share"] == learner.share and row["keeps_first"] == learner.keeps_first]
    good = [row["valid_bits"] for row in history if row["valid_top1"] >= bare["valid_top1"]]
    assert chosen[0]["valid_bits"] == min(good)


@pytest.mark.parametrize(
    ("name", "release", "expected", "forgets"),
    [
        ("eevdf_6_12", None, GroupedOrFlatEevdf, None),
        ("cfs_6_1", None, ReplayedCfs, False),
        ("cfs_5_10", "5.10.0-32-cloud-amd64", ReplayedCfs, True),
        ("cfs_6_1", "6.1.0-49-cloud-amd64", ReplayedCfs, False),
    ],
)
def test_the_replay_is_that_of_the_recordings_kernel(
    tmp_path: Path, name: str, release: str | None, expected: type, forgets: bool | None
) -> None:
    for path in (DATA / name).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if release:
        (tmp_path / "guest.json").write_text(json.dumps({"facts": {"kernel": release}}))
    replay = create_replay(streams.load([tmp_path]).train[0].stream, ThreadNames())
    assert isinstance(replay, expected)
    if isinstance(replay, ReplayedCfs):
        assert replay.cfs.rules.forget_buddies_when_picked is forgets


@pytest.mark.parametrize("name", ["eevdf_6_12", "cfs_6_1"])
def test_the_features_of_a_candidate_come_from_the_replay_and_the_trace(name: str) -> None:
    stream = streams.load([DATA / name]).train[0].stream
    segment, names = Segment(stream, 1000, 1200), read_thread_names(stream.folder)
    candidates = Candidates.collect(segment, read_events(stream, 1200), names, create_replay(stream, names))
    assert candidates.ranking.offsets[-1] == len(candidates.rows) == len(candidates.ranking.tid)
    assert candidates.rows.shape[1] == len(FEATURES)
    column = {feature: candidates.rows[:, number] for number, feature in enumerate(FEATURES)}
    first = column["rank"] == 0
    assert (column["waited_us"] >= 0).all()
    assert (column["waited_us"] > 0).any()
    for feature in FEATURES[FEATURES.index("waited_us_beyond_first") :]:
        assert (column[feature][first] == 0).all()
    assert 0.1 < column["kernel_thread"].mean() < 0.9
    last = np.repeat(stream.tid[999:1199], np.diff(candidates.ranking.offsets))
    assert np.array_equal(column["just_left"] == 1, candidates.ranking.tid == last)


def noisy(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random features, labels that depend on the first two, and random weights."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(count, 5)).astype(np.float32)
    return rows, rows[:, 0] + rows[:, 1] ** 2 + rng.normal(size=count) > 1, rng.uniform(0.5, 2, count)


def test_boosted_trees_predict_what_the_library_predicts() -> None:
    rows, yes, weight = noisy(2000)
    mine = TreeEnsemble.fit(rows, yes, weight, rounds=12, depth=3, rate=0.2, seed=7)
    theirs = GradientBoostingClassifier(
        n_estimators=12, max_depth=3, learning_rate=0.2, subsample=0.5, min_samples_leaf=20, random_state=7
    ).fit(rows, yes, weight)
    assert mine.probabilities(rows) == pytest.approx(theirs.predict_proba(rows)[:, 1], abs=1e-12)


def test_boosted_trees_are_restored_from_their_arrays() -> None:
    rows, yes, weight = noisy(500)
    mine = TreeEnsemble.fit(rows, yes, weight, rounds=5, depth=2, rate=0.2, seed=7)
    assert np.array_equal(TreeEnsemble.of(mine.arrays()).probabilities(rows), mine.probabilities(rows))

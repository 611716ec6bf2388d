from __future__ import annotations

import json
from pathlib import Path

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
from model.scoring.outcomes import evaluate
from model.scoring.scores import score_outcomes


@pytest.fixture(scope="module")
def guest() -> Dataset:
    return streams.load([DATA / "eevdf_6_12"], split=(0.6, 0.2, 0.2))


@pytest.fixture(scope="module")
def learned(guest: Dataset) -> Predictor:
    return fitted(ReplayResidual(), guest)


@pytest.fixture(scope="module")
def replayed(guest: Dataset) -> Predictor:
    return fitted(EevdfReplay(), guest)


def fitted(predictor: Predictor, dataset: Dataset, with_valid: bool = True) -> Predictor:
    valid = dataset.valid if with_valid else ()
    predictor.fit(dataset.train, valid, len(dataset.vocabulary), ignore_progress)
    return predictor


def scores(predictor: Predictor, segments: tuple[Segment, ...]) -> dict[str, float]:
    found = score_outcomes(evaluate(predictor, segments))["overall"]
    assert isinstance(found, dict)
    return found


def test_it_costs_the_replay_no_hit_and_no_bit_where_it_was_chosen(
    guest: Dataset, learned: Predictor, replayed: Predictor
) -> None:
    mine, bare = scores(learned, guest.valid), scores(replayed, guest.valid)
    assert mine["top1"] >= bare["top1"]
    assert mine["bits_per_switch"] < bare["bits_per_switch"]


def test_it_is_better_calibrated_on_switches_it_never_saw(
    guest: Dataset, learned: Predictor, replayed: Predictor
) -> None:
    mine, bare = scores(learned, guest.test), scores(replayed, guest.test)
    assert mine["top1"] > 0.98
    assert mine["bits_per_switch"] < bare["bits_per_switch"]


def test_with_nothing_to_choose_by_it_is_the_replay(guest: Dataset) -> None:
    mine, bare = (fitted(kind, guest, with_valid=False) for kind in (ReplayResidual(), EevdfReplay()))
    assert mine.predict(guest.test[0]).log_probs == pytest.approx(bare.predict(guest.test[0]).log_probs)


def test_too_few_contested_switches_teach_nothing(guest: Dataset) -> None:
    stream = guest.train[0].stream
    few = (Segment(stream, 0, 60),)
    learner = ReplayResidual()
    assert learner.fit(few, few, len(guest.vocabulary), ignore_progress) == []
    assert learner.trees is None
    assert np.isfinite(learner.predict(guest.test[0]).log_probs).all()


def test_the_history_tells_what_each_share_of_the_trees_was_worth(guest: Dataset) -> None:
    learner = ReplayResidual(rounds=10)
    history = learner.fit(guest.train, guest.valid, len(guest.vocabulary), ignore_progress)
    bare = next(row for row in history if row["share"] == 0)
    chosen = [row for row in history if row["share"] == learner.share and row["keeps_first"] == learner.keeps_first]
    assert chosen[0]["valid_bits"] == min(
        row["valid_bits"] for row in history if row["valid_top1"] >= bare["valid_top1"]
    )


@pytest.mark.parametrize(
    ("name", "release", "expected", "forgets"),
    [
        ("eevdf_6_12", None, GroupedOrFlatEevdf, None),
        ("cfs_6_1", None, ReplayedCfs, False),
        ("cfs_5_10", "5.10.0-32-cloud-amd64", ReplayedCfs, True),
        ("cfs_6_1", "6.1.0-49-cloud-amd64", ReplayedCfs, False),
    ],
)
def test_the_replay_is_the_one_of_the_kernel(
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
def test_a_candidate_is_told_by_what_the_replay_and_the_trace_know_of_it(name: str) -> None:
    stream = streams.load([DATA / name]).train[0].stream
    segment, called = Segment(stream, 1000, 1200), read_thread_names(stream.folder)
    looked = Candidates.collect(segment, read_events(stream, 1200), called, create_replay(stream, called))
    assert looked.ranking.offsets[-1] == len(looked.rows) == len(looked.ranking.tid)
    assert looked.rows.shape[1] == len(FEATURES)
    column = {feature: looked.rows[:, number] for number, feature in enumerate(FEATURES)}
    first = column["rank"] == 0
    assert (column["waited_us"] >= 0).all()
    assert (column["waited_us"] > 0).any()
    for feature in FEATURES[FEATURES.index("waited_us_beyond_first") :]:
        assert (column[feature][first] == 0).all()
    assert 0.1 < column["kernel_thread"].mean() < 0.9
    last = np.repeat(stream.tid[999:1199], np.diff(looked.ranking.offsets))
    assert np.array_equal(column["just_left"] == 1, looked.ranking.tid == last)


def noisy(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(3)
    found = chance.normal(size=(rows, 5)).astype(np.float32)
    return found, found[:, 0] + found[:, 1] ** 2 + chance.normal(size=rows) > 1, chance.uniform(0.5, 2, rows)


def test_boosted_trees_say_what_the_library_says() -> None:
    rows, yes, weight = noisy(2000)
    mine = TreeEnsemble.fit(rows, yes, weight, rounds=12, depth=3, rate=0.2, seed=7)
    theirs = GradientBoostingClassifier(
        n_estimators=12, max_depth=3, learning_rate=0.2, subsample=0.5, min_samples_leaf=20, random_state=7
    ).fit(rows, yes, weight)
    assert mine.probabilities(rows) == pytest.approx(theirs.predict_proba(rows)[:, 1], abs=1e-12)


def test_boosted_trees_come_back_from_their_arrays() -> None:
    rows, yes, weight = noisy(500)
    mine = TreeEnsemble.fit(rows, yes, weight, rounds=5, depth=2, rate=0.2, seed=7)
    assert np.array_equal(TreeEnsemble.of(mine.arrays()).probabilities(rows), mine.probabilities(rows))

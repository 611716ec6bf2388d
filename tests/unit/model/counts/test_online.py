from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import jobs
from model.counts.nested import NestedCounts
from model.counts.online import OnlineNestedCounts
from model.data import streams
from model.data.streams import Segment
from model.jobs import Job
from model.predictor import ignore_progress
from model.predictors import create
from model.scoring.outcomes import evaluate
from model.scoring.scores import score_online, score_outcomes

SPLIT = (0.7, 0.15, 0.15)


@given(st.integers(0, 2**32), st.integers(0, 120), st.integers(0, 3), st.sampled_from([1, 2, 16]))
def test_online_counts_equal_counts_of_everything_at_once(seed: int, first: int, depth: int, strength: int) -> None:
    draw = np.random.default_rng(seed)
    context, symbol = draw.integers(0, 3, (120, depth)), draw.integers(0, 5, 120)
    some, everything = NestedCounts(5, 3, depth), NestedCounts(5, 3, depth)
    some.strength = everything.strength = strength
    some.fit(context[: max(1, first)], symbol[: max(1, first)])
    everything.fit(context, symbol)
    growing = OnlineNestedCounts(some, depth)
    for around, one in zip(context[max(1, first) :].tolist(), symbol[max(1, first) :].tolist(), strict=True):
        growing.learn(around, one)
    asked = draw.integers(0, 3, (20, depth))
    expected = everything.probabilities(asked)
    for row, probability in zip(asked.tolist(), expected, strict=True):
        assert growing.probabilities(row) == pytest.approx(probability)


def moved(dataset: streams.Dataset) -> Segment:
    """A test part in which the tasks have changed places."""
    test = dataset.test[0]
    order, mark = np.array([0, 3, 1, 4, 5, 2]), test.stream.mark.copy()
    mark[test.start :] = order[mark[test.start :]]
    return Segment(dataclasses.replace(test.stream, mark=mark), test.start, test.stop)


@pytest.mark.parametrize("kind", ["most_frequent", "markov", "slice_markov"])
def test_an_online_learner_follows_a_source_that_changes(kind: str, dataset: streams.Dataset) -> None:
    predictor, changed = create(kind, {}), moved(dataset)
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    frozen = score_outcomes(evaluate(predictor, [changed]))["overall"]
    learned_on = score_online(predictor, [changed])
    assert learned_on is not None
    assert learned_on["overall"]["bits_per_switch"] < frozen["bits_per_switch"]  # type: ignore[index]
    assert learned_on["overall"]["time_bits"] < frozen["time_bits"] - 0.03  # type: ignore[index]


def test_an_online_learner_gains_little_on_a_stationary_source(dataset: streams.Dataset) -> None:
    markov = create("markov", {"order": 2})
    markov.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    frozen = score_outcomes(evaluate(markov, dataset.test))["overall"]
    learned_on = score_online(markov, dataset.test)
    assert learned_on is not None
    assert learned_on["overall"]["bits_per_switch"] == pytest.approx(frozen["bits_per_switch"], rel=0.01)  # type: ignore[index]


def test_other_predictors_have_no_online_scores(dataset: streams.Dataset) -> None:
    for kind in ("repeat", "fifo", "decision_tree"):
        assert score_online(create(kind, {}), dataset.test) is None


def test_a_job_stores_frozen_and_online_scores(recording: Path, tmp_path: Path) -> None:
    for kind, learns in (("markov", True), ("repeat", False)):
        jobs.run(Job((recording,), kind, 0, "task", SPLIT, tmp_path / kind))
        stored = json.loads((tmp_path / kind / "scores.json").read_text())
        assert (stored["online"] is not None) == learns
        if learns:
            assert stored["online"]["contested"]["bits_per_switch"] != stored["contested"]["bits_per_switch"]
            assert stored["online"]["test_events"] == stored["test_events"]

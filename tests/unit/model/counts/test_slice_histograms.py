"""Histograms of slices over the inputs `slices`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from locations import DATA

from model import checkpoint
from model.checkpoint import Checkpoint
from model.counts.slice_histograms import CLASSES, COLUMNS, WINDOW, HistorySliceHistograms, SliceHistograms
from model.data import streams
from model.data.lags import Past
from model.data.streams import STATES, Segment
from model.errors import CheckpointError, SettingError
from model.predictor import ignore_progress
from model.predictors import create
from model.predictors.slice_markov import SliceMarkov

RECORDING = DATA / "cfs_6_1"


def nats(table: SliceHistograms, segments: tuple[Segment, ...]) -> float:
    """Return the mean -log density over the events of all segments."""
    parts = [-table.predict(segment).log_pdf(segment.slice_us()) for segment in segments]
    return float(np.concatenate(parts).mean())


def fitted(table: SliceHistograms, dataset: streams.Dataset) -> SliceHistograms:
    table.fit(dataset.train)
    table.choose(dataset.valid)
    return table


def test_a_context_has_the_last_marks_then_the_marks_own_last_slice_then_the_rest() -> None:
    table = HistorySliceHistograms(marks=5)
    table.edges_us = np.arange(1.0, CLASSES)  # a slice of 0.5 us is of class 0, one of 2.5 us of class 2
    mark = np.array([[4, 3, 2, 1, 2, 0, 0, 0]])
    slice_us = np.array([[0.5, 1.5, 2.5, 3.5, 9.5, 1.5, 1.5, 1.5]])
    state = np.array([[0, 1, 2, 3, 0, 0, 0, 0]])
    past = Past(mark, slice_us, state)
    ended = [state * CLASSES + length for state, length in ((0, 0), (1, 1), (2, 2), (3, 3))]
    expected = [2, 4, 3, ended[2], ended[0], ended[1], 2, ended[2], 1, ended[3]]
    assert table.columns(np.array([2]), past).tolist() == [expected]
    never = len(STATES) * CLASSES
    assert table.columns(np.array([5]), past)[0, 3] == never < table.counts.values
    assert (len(expected), mark.shape[1]) == (COLUMNS, WINDOW)


def test_slices_that_depend_on_the_tasks_own_last_slice_are_predicted(dataset: streams.Dataset) -> None:
    def alternating(segment: Segment) -> Segment:
        """Each mark's slices are 10 us and 1 ms in turn, whatever runs between."""
        stream, slice_ns = segment.stream, segment.stream.slice_ns.copy()
        for mark in np.unique(stream.mark):
            mine = np.flatnonzero(stream.mark == mark)
            slice_ns[mine] = np.where(np.arange(len(mine)) % 2, 10_000, 1_000_000)
        return Segment(dataclasses.replace(stream, slice_ns=slice_ns), segment.start, segment.stop)

    train, valid, test = (tuple(map(alternating, part)) for part in (dataset.train, dataset.valid, dataset.test))
    changed = dataclasses.replace(dataset, train=train, valid=valid, test=test)
    marks = len(dataset.vocabulary)
    near = nats(fitted(HistorySliceHistograms(marks), changed), test)
    assert near < nats(fitted(SliceHistograms(marks, 2), changed), test) - 0.3


def test_on_a_real_recording_it_is_no_worse_than_marks_alone() -> None:
    dataset = streams.load([RECORDING], mark="task")
    marks = len(dataset.vocabulary)
    alone = nats(fitted(SliceHistograms(marks, 2), dataset), dataset.test)
    assert nats(fitted(HistorySliceHistograms(marks), dataset), dataset.test) < alone


def test_a_walk_keeps_as_many_events_as_the_slice_histograms_need(dataset: streams.Dataset) -> None:
    predictor = SliceMarkov(max_order=1)
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    segment = Segment(dataset.test[0].stream, dataset.test[0].start, dataset.test[0].start + 50)
    expected, stream, walk = predictor.slices.predict(segment), segment.stream, predictor.session(segment)
    for row, event in enumerate(range(segment.start, segment.stop)):
        assert np.array_equal(walk.slice_of(int(stream.mark[event])).probability, expected.probability[[row]])
        walk.push(int(stream.mark[event]), stream.slice_ns[event] / 1e3, int(stream.end_state[event]))


def test_the_density_of_a_slice_depends_only_on_its_mark_and_the_past(dataset: streams.Dataset) -> None:
    table, segment = fitted(HistorySliceHistograms(len(dataset.vocabulary)), dataset), dataset.test[0]
    stream, event = segment.stream, segment.start + 100
    slice_ns, state, mark = stream.slice_ns.copy(), stream.end_state.copy(), stream.mark.copy()
    slice_ns[event:], state[event:], mark[event + 1 :] = slice_ns[event:] * 37, 3, 1
    other = dataclasses.replace(stream, slice_ns=slice_ns, end_state=state, mark=mark)
    left, right = (table.predict(Segment(one, segment.start, event + 1)) for one in (stream, other))
    assert np.array_equal(left.probability, right.probability)
    assert left.probability.sum(axis=1) == pytest.approx(1)


def test_a_strength_that_is_set_is_not_chosen(dataset: streams.Dataset) -> None:
    predictor = create("slice_markov", {"strength": 5})
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    assert predictor.counts.strength == 5  # type: ignore[attr-defined]
    with pytest.raises(SettingError, match="strength 0"):
        create("slice_markov", {"strength": 0})


def test_a_table_of_an_earlier_version_is_refused_with_the_reason(dataset: streams.Dataset, tmp_path: Path) -> None:
    predictor, marks = create("slice_markov", {}), len(dataset.vocabulary)
    predictor.fit(dataset.train, dataset.valid, marks, ignore_progress)

    class Earlier:
        """Stores histograms over marks alone, and no strength."""

        def __getattr__(self, name: str) -> object:
            return getattr(predictor, name)

        def arrays(self) -> dict[str, np.ndarray]:
            own = {name: array for name, array in predictor.arrays().items() if not name.startswith("slice")}
            del own["strength"]
            return {**own, **fitted(SliceHistograms(marks, 2), dataset).arrays()}

    stored = Checkpoint(Earlier(), "slice_markov", dataset.vocabulary, "task", {})  # type: ignore[arg-type]
    checkpoint.save(tmp_path, stored)
    with pytest.raises(CheckpointError, match=r"those of an earlier version.*train again"):
        checkpoint.load(tmp_path)

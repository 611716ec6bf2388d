"""A recording that is read, counted and laid out in small parts gives the same as in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from locations import DATA

from model.counts.nested import NestedCounts
from model.data import streams, synthetic
from model.data.lags import Past
from model.data.marks import role
from model.data.slice_columns import NameTimeline, read
from model.data.streams import Segment, Stream
from model.nn.batches import FIELDS, Scale, concatenate, to_inputs
from model.predictor import ignore_progress
from model.predictors import create

RECORDING = DATA / "cfs_6_1"


def same(left: Stream, right: Stream) -> None:
    """Every column, in value and type."""
    for field in dataclasses.fields(Stream):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, field.name
            np.testing.assert_array_equal(one, other, err_msg=field.name)
        else:
            assert one == other


def changed(out: Path, change: Callable[[pa.Table], pa.Table], **options: int) -> Path:
    out.mkdir()
    pq.write_table(change(pq.read_table(RECORDING / "slices.parquet")), out / "slices.parquet", **options)
    return out


def on_three_cpus(table: pa.Table) -> pa.Table:
    cpus = pa.array(np.arange(len(table)) * 7 % 3).cast(pa.int16())
    return table.set_column(table.schema.get_field_index("cpu"), table.schema.field("cpu"), cpus)


def renamed(table: pa.Table) -> pa.Table:
    """Give threads another name from time to time, back and forth."""
    comms = [f"{comm}{row // 500 % 3}" for row, comm in enumerate(table["comm"].to_pylist())]
    return table.set_column(table.schema.get_field_index("comm"), "comm", pa.array(comms))


def shuffled(table: pa.Table) -> pa.Table:
    return table.take(np.random.default_rng(0).permutation(len(table)))


@pytest.mark.parametrize("change", [lambda table: table, on_three_cpus, renamed, shuffled])
@pytest.mark.parametrize("mark", ["task", "comm"])
def test_a_recording_read_in_small_chunks_is_the_same(
    change: Callable[[pa.Table], pa.Table], mark: str, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "tables", change, row_group_size=500)
    whole, chunked = (streams.load([folder], mark, rows=rows) for rows in (10**6, 97))
    assert whole.vocabulary == chunked.vocabulary
    for part in ("train", "valid", "test"):
        segments = list(zip(getattr(whole, part), getattr(chunked, part), strict=True))
        for one, other in segments:
            assert (one.start, one.stop) == (other.start, other.stop)
            same(one.stream, other.stream)
    assert len(segments) == (3 if change is on_three_cpus else 1)


def test_the_names_of_waiting_tasks_are_those_of_a_plain_walk(tmp_path: Path) -> None:
    """Against a plain walk through the table, event by event."""
    folder = changed(tmp_path / "tables", renamed)
    stream = streams.load([folder], "comm", rows=97).train[0].stream
    names = streams.load([folder], "comm").vocabulary.names
    ever: dict[int, str] = {}
    table = pq.read_table(folder / "slices.parquet", columns=["comm", "tid"]).to_pylist()
    for row in table:
        ever.setdefault(row["tid"], role(row["comm"]))
    now = dict(ever)
    for event, row in enumerate(table[: len(stream)]):
        listed = stream.runnable_mark[stream.runnable_at[event] : stream.runnable_at[event + 1]]
        known = [now.get(tid, "") if now.get(tid) in names else "<unknown>" for tid in stream.runnable(event).tolist()]
        assert [names[mark] for mark in listed] == known
        now[row["tid"]] = role(row["comm"])


def test_a_timeline_gives_the_task_of_a_thread_at_a_row() -> None:
    """Thread 5 runs as 0 from row 2 and as 1 from row 7; thread 9 as 2 from row 4."""
    names = NameTimeline(np.array([5, 9]), np.array([2, 7, 10 + 4]), np.array([0, 1, 2]), slices=10)
    rows, tids = np.array([0, 2, 3, 7, 8, 1, 9, 5]), np.array([5, 5, 5, 5, 5, 9, 9, 4])
    assert names.task_at(rows, tids).tolist() == [0, 0, 0, 0, 1, 2, 2, -1]


@pytest.mark.slow
def test_a_network_trained_on_a_recording_read_in_chunks_has_the_same_bits() -> None:
    predicted = []
    for rows in (10**6, 97):
        dataset = streams.load([RECORDING], rows=rows)
        gru = create("gru", {"hidden": 8, "max_epochs": 2})
        gru.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
        predicted.append(gru.predict(dataset.test[0]).log_probs)
    np.testing.assert_array_equal(*predicted)


def test_streams_laid_out_in_parts_are_the_same() -> None:
    dataset = streams.load([RECORDING])
    scale, segments = Scale.measure(dataset.train), [*dataset.train, *dataset.test]
    whole, pieces = (concatenate(segments, scale, 99, rows=rows) for rows in (10**6, 97))
    first = to_inputs(segments[0], scale, 99)
    for name in FIELDS:
        assert getattr(whole, name).equal(getattr(pieces, name))
        assert getattr(whole, name)[:, : len(segments[0])].equal(getattr(first, name))


def test_the_past_of_a_part_is_that_of_the_whole() -> None:
    stream = streams.load([RECORDING]).train[0].stream
    whole = Past.of([Segment(stream, 0, 300)], 5, 99)
    for start in (0, 1, 3, 5, 200):
        part = Past.of([Segment(stream, start, 300)], 5, 99)
        for name in ("mark", "slice_us", "end_state"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[start:])


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 4))
def test_counts_of_parts_are_the_counts_of_the_whole(seed: int, part: int, depth: int) -> None:
    draw = np.random.default_rng(seed)
    context, symbol = draw.integers(0, 3, (200, depth)), draw.integers(0, 4, 200)
    whole, pieces = NestedCounts(4, 3, depth), NestedCounts(4, 3, depth)
    whole.fit(context, symbol)
    pieces.fit_parts((context[at : at + part], symbol[at : at + part]) for at in range(0, 200, part))
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, pieces.arrays()[name], err_msg=name)


@pytest.mark.slow
def test_a_table_of_a_thousand_row_groups_is_read(source: synthetic.Source, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "a", source, 5000)
    table = pq.read_table(tmp_path / "a" / "slices.parquet")
    pq.write_table(table, tmp_path / "a" / "slices.parquet", row_group_size=5)
    assert len(read(tmp_path / "a")) == 5000

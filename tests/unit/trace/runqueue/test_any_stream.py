"""Slices of made-up streams of events: valid ones, and ones that no kernel would write."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from event_rows import Row, switch, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_slices import plain_slices
from streams import Stream, hostile_streams, valid_streams

import harness.trace
from harness.trace.runqueue.slicer import Slicer, slice_table
from harness.trace.tables.cpu_usage import UsageCounter

pytestmark = pytest.mark.slow


def in_blocks(
    tables: list[pa.Table],
    edges: list[int],
    shifted: bool = False,
    lookahead: int = 30_000,
    batch_tasks: int | None = None,
) -> list[Row]:
    """Return the slices of tables that are cut into blocks at the times `edges`."""
    slicer, rows = Slicer(shifted, lookahead, batch_tasks), []
    for low, high in zip([-1, *edges], [*edges, 1 << 62], strict=True):
        times = [table["time_ns"] for table in tables]
        kept = [pc.and_(pc.greater_equal(time, low), pc.less(time, high)) for time in times]
        slicer.add(*(table.filter(mask) for table, mask in zip(tables, kept, strict=True)))
        rows += [row for batch in slicer.ready() for row in batch.to_pylist()]
    rows += [row for batch in slicer.finish() for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: (row["start_ns"], row["cpu"]))


@settings(max_examples=200)
@given(valid_streams())
def test_every_switch_of_a_valid_stream_but_the_last_begins_a_slice(stream: Stream) -> None:
    rows = slice_table(*tables_of(*stream)).to_pylist()
    assert len(rows) == max(0, len(stream[0]) - 1)
    assert rows == plain_slices(*stream)


@settings(max_examples=300)
@given(
    hostile_streams(),
    st.booleans(),
    st.sampled_from([0, 1, 2, 5, 30_000]),
    st.lists(st.integers(0, 120), max_size=6),
    st.sampled_from([None, 1, 3, 20]),
)
def test_slices_of_any_stream_in_any_blocks_equal_those_of_the_plain_slicer(
    stream: Stream, shifted: bool, lookahead: int, edges: list[int], batch_tasks: int | None
) -> None:
    tables, expected = tables_of(*stream), plain_slices(*stream, shifted_states=shifted, lookahead=lookahead)
    assert slice_table(*tables, shifted_states=shifted, lookahead=lookahead).to_pylist() == expected
    assert in_blocks(tables, sorted(edges), shifted, lookahead, batch_tasks) == expected


@settings(max_examples=200)
@given(hostile_streams(), st.booleans())
def test_slices_of_any_stream_are_sound(stream: Stream, shifted: bool) -> None:
    for row in slice_table(*tables_of(*stream), shifted_states=shifted).to_pylist():
        assert row["tid"] in row["runnable"]
        assert len(set(row["runnable"])) == len(row["runnable"])
        assert row["slice_ns"] >= 0
        assert row["wake_ns"] is None or row["wake_ns"] <= row["start_ns"]
        assert row["contested"] == (len([tid for tid in row["runnable"] if tid]) >= 2)


@pytest.mark.parametrize("lookahead", [10, 30_000])
@pytest.mark.parametrize("size", [40, 1000])
@pytest.mark.parametrize("which", ["nginx_recording", "hostile_recording"])
def test_slices_of_many_blocks_equal_those_of_one(
    which: str, size: int, lookahead: int, request: pytest.FixtureRequest
) -> None:
    trace = harness.trace.read(request.getfixturevalue(which))
    tables = [trace.switches, trace.wakeups, trace.migrations]
    edges = trace.switches["time_ns"].to_pylist()[size::size]
    assert in_blocks(tables, edges, lookahead=lookahead) == slice_table(*tables, lookahead=lookahead).to_pylist()


@settings(max_examples=200)
@given(hostile_streams(), st.lists(st.integers(0, 120), max_size=6))
def test_no_slice_begins_before_the_earliest_start_announced(stream: Stream, edges: list[int]) -> None:
    slicer, tables, announced = Slicer(lookahead=2, batch_tasks=4), tables_of(*stream), -1
    for low, high in zip([-1, *sorted(edges)], [*sorted(edges), 1 << 62], strict=True):
        times = [table["time_ns"].to_numpy() for table in tables]
        slicer.add(*(table.filter((low <= time) & (time < high)) for table, time in zip(tables, times, strict=True)))
        for batch in itertools.chain(slicer.ready(), slicer.finish() if high == 1 << 62 else []):
            assert min(batch["start_ns"].to_pylist(), default=announced) >= announced
            announced = slicer.earliest_ns if slicer.earliest_ns is not None else announced


def test_slices_from_different_blocks_can_be_counted_together_by_name() -> None:
    slicer, usage = Slicer(lookahead=0), UsageCounter()
    for first in (10, 30, 50):
        slicer.add(
            *tables_of([switch(first, first, "R", first + 1), switch(first + 10, first + 1, "R", first + 20)], [], [])
        )
        for batch in slicer.ready():
            usage.add(batch)
    assert {comm: used.slices for comm, used in usage.result()[0].items()} == dict.fromkeys(
        ("t11", "t30", "t31", "t50", "t51"), 1
    )

"""Slices come in pieces whose size is bounded before their runnable sets are rebuilt."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from event_rows import switch, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_slices import plain_slices
from streams import Stream, hostile_streams

from harness.trace.runqueue.batches import RunnableSetBound
from harness.trace.runqueue.slicer import Slicer, slice_table
from harness.trace.runqueue.tracker import EventBatch, Tracker
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tracepoint.task_state import is_runnable, true_state


def turns(first_ns: int, tids: np.ndarray) -> dict[str, np.ndarray]:
    """Tasks that take turns on one CPU, a microsecond each, all of them always runnable."""
    return {"time_ns": first_ns + 1000 * np.arange(len(tids)), "prev_tid": np.roll(tids, 1), "next_tid": tids}


def sudden_queue(quiet: int, deep: int, rounds: int) -> list[pa.Table]:
    """Two tasks that take turns for `quiet` switches; then `deep` tasks are woken at once, and take turns as well."""
    before = turns(0, 1 + np.arange(quiet) % 2)
    after = turns(1000 * quiet, 1 + np.arange(rounds * deep) % deep)
    switches = {name: np.concatenate([before[name], after[name]]) for name in before}
    woken = {"time_ns": np.full(deep, 1000 * quiet - 1), "tid": 1 + np.arange(deep)}
    return [_filled("switches", switches), _filled("wakeups", woken), SCHEMAS["migrations"].empty_table()]


def _filled(name: str, columns: dict[str, np.ndarray]) -> pa.Table:
    rows = len(columns["time_ns"])
    given = {
        field.name: pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.array(["R"] * rows).dictionary_encode()
        if pa.types.is_dictionary(field.type)
        else pa.array(np.zeros(rows), field.type)
        for field in SCHEMAS[name]
    }
    return pa.table(given).cast(SCHEMAS[name])


def test_a_queue_that_is_suddenly_deep_makes_batches_shorter_not_larger() -> None:
    quiet, deep, rounds, limit = 20_000, 400, 5, 10_000
    tables = sudden_queue(quiet, deep, rounds)
    slicer = Slicer(lookahead=100, batch_tasks=limit)
    slicer.add(*tables)
    pieces = [*slicer.ready(), *slicer.finish()]
    held = [len(piece["runnable"].combine_chunks().flatten()) for piece in pieces]
    assert sum(held) > rounds * deep * deep / 2
    assert max(held) <= limit + deep  # a piece ends with a stay that began in the one before
    assert max(piece.num_rows for piece in pieces) > limit / 10
    assert pa.concat_tables(pieces).to_pylist() == slice_table(*tables).to_pylist()


def test_a_queue_deeper_than_the_bound_gives_batches_of_one_switch() -> None:
    slicer = Slicer(lookahead=10, batch_tasks=50)
    slicer.add(*sudden_queue(quiet=200, deep=100, rounds=2))
    assert [piece.num_rows for piece in slicer.finish()][-150:] == [1] * 150


def test_the_task_that_left_and_the_picked_one_both_count() -> None:
    pieces = RunnableSetBound(*tables_of([switch(10, 1, "R", 2)], [], []))
    assert [pieces.fitting(0, 1, 0, values) for values in (1, 2)] == [0, 1]


@settings(max_examples=300)
@given(hostile_streams(), st.integers(0, 200), st.integers(1, 60), st.booleans())
def test_no_range_of_any_stream_holds_more_tasks_than_its_bound(
    stream: Stream, cut_ns: int, values: int, shifted: bool
) -> None:
    switches, *others = stream
    tables = tables_of(sorted(switches, key=lambda row: (row["time_ns"], row["cpu"])), *others)
    sets = plain_slices(*stream, shifted_states=shifted)
    pieces, tracker = RunnableSetBound(*tables), Tracker(shifted)
    first = int(np.searchsorted(pieces.times, cut_ns))
    if first == len(pieces.times):
        return
    states = tables[0]["prev_state"].to_pylist()
    wants = np.array([is_runnable(true_state(state, shifted)) for state in states], bool)
    before = np.zeros(int(np.searchsorted(tables[0]["time_ns"].to_numpy(), cut_ns)), np.uint8)
    tracker.feed(EventBatch(*tables, wants, before), cut_ns)
    upto = pieces.fitting(first, len(pieces.times), tracker.waiting, values)
    end_ns = int(pieces.times[upto]) if upto < len(pieces.times) else 1 << 62
    assert sum(len(row["runnable"]) for row in sets if cut_ns <= row["start_ns"] < end_ns) <= values

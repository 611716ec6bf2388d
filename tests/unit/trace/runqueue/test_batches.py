"""Slices come in batches whose size is bounded before their runnable sets are rebuilt."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from event_rows import switch, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_slices import plain_slices
from streams import Stream, hostile_streams

from harness.trace.runqueue.batches import RunnableSetBound
from harness.trace.runqueue.slicer import Slicer, left_runnable, slice_table
from harness.trace.runqueue.tracker import EventBatch, Tracker
from harness.trace.tables.schemas import SCHEMAS


def turns(first_ns: int, tids: np.ndarray) -> dict[str, np.ndarray]:
    """Return switches between tasks that take turns on one CPU, a microsecond each, and are always runnable."""
    return {"time_ns": first_ns + 1000 * np.arange(len(tids)), "prev_tid": np.roll(tids, 1), "next_tid": tids}


def sudden_queue(quiet: int, deep: int, rounds: int) -> list[pa.Table]:
    """Let two tasks take turns for `quiet` switches; then wake `deep` tasks at once, which take turns as well."""
    before = turns(0, 1 + np.arange(quiet) % 2)
    after = turns(1000 * quiet, 1 + np.arange(rounds * deep) % deep)
    switches = {name: np.concatenate([before[name], after[name]]) for name in before}
    woken = {"time_ns": np.full(deep, 1000 * quiet - 1), "tid": 1 + np.arange(deep)}
    return [_filled("switches", switches), _filled("wakeups", woken), SCHEMAS["migrations"].empty_table()]


def _filled(name: str, columns: dict[str, np.ndarray]) -> pa.Table:
    rows = len(columns["time_ns"])
    filled = {
        field.name: pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.array(["R"] * rows).dictionary_encode()
        if pa.types.is_dictionary(field.type)
        else pa.array(np.zeros(rows), field.type)
        for field in SCHEMAS[name]
    }
    return pa.table(filled).cast(SCHEMAS[name])


def test_a_queue_that_is_suddenly_deep_makes_batches_shorter_not_larger() -> None:
    quiet, deep, rounds, limit = 20_000, 400, 5, 10_000
    tables = sudden_queue(quiet, deep, rounds)
    slicer = Slicer(lookahead=100, batch_tasks=limit)
    slicer.add(*tables)
    batches = [*slicer.ready(), *slicer.finish()]
    held = [len(batch["runnable"].combine_chunks().flatten()) for batch in batches]
    assert sum(held) > rounds * deep * deep / 2
    assert max(held) <= limit + deep  # a batch ends with a stay that began in the one before
    assert max(batch.num_rows for batch in batches) > limit / 10
    assert pa.concat_tables(batches).to_pylist() == slice_table(*tables).to_pylist()


def test_a_queue_deeper_than_the_bound_gives_batches_of_one_switch() -> None:
    slicer = Slicer(lookahead=10, batch_tasks=50)
    slicer.add(*sudden_queue(quiet=200, deep=100, rounds=2))
    assert [batch.num_rows for batch in slicer.finish()][-150:] == [1] * 150


def test_the_task_that_left_and_the_picked_one_both_count() -> None:
    bound = RunnableSetBound(*tables_of([switch(10, 1, "R", 2)], [], []))
    assert [bound.end_within(0, 1, 0, limit) for limit in (1, 2)] == [0, 1]


@settings(max_examples=300)
@given(hostile_streams(), st.integers(0, 200), st.integers(1, 60), st.booleans())
def test_no_range_of_any_stream_holds_more_tasks_than_its_bound(
    stream: Stream, cut_ns: int, limit: int, shifted: bool
) -> None:
    switches, *others = stream
    tables = tables_of(sorted(switches, key=lambda row: (row["time_ns"], row["cpu"])), *others)
    sets = plain_slices(*stream, shifted_states=shifted)
    bound, tracker = RunnableSetBound(*tables), Tracker(shifted)
    first = int(np.searchsorted(bound.times, cut_ns))
    if first == len(bound.times):
        return
    before = np.zeros(int(np.searchsorted(tables[0]["time_ns"].to_numpy(), cut_ns)), np.uint8)
    tracker.feed(EventBatch(*tables, left_runnable(tables[0], shifted), before), cut_ns)
    upto = bound.end_within(first, len(bound.times), tracker.waiting, limit)
    end_ns = int(bound.times[upto]) if upto < len(bound.times) else 1 << 62
    assert sum(len(row["runnable"]) for row in sets if cut_ns <= row["start_ns"] < end_ns) <= limit

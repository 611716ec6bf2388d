"""Sums of any stream of events equal those that numpy makes from whole tables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from event_rows import TABLES, Row, switch, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_summary import assert_summed_up
from streams import Stream, hostile_streams
from table_decoder import TableDecoder

from harness.trace.runqueue.sums import Sums, left_as
from harness.trace.summary import by_cpu, by_task
from harness.trace.tables.schemas import SCHEMAS


def runtime(time: int, tid: int, runtime_ns: int = 5, comm: str = "other") -> Row:
    return {"time_ns": time, "cpu": 0, "comm": comm, "tid": tid, "runtime_ns": runtime_ns}


def any_trace(stream: Stream, runtimes: list[Row], shifted: bool = False) -> Any:
    """The tables of a stream, as a trace has them."""
    tables = dict(zip(TABLES, tables_of(*stream), strict=True))
    in_order = sorted(runtimes, key=lambda row: int(row["time_ns"]))
    tables["runtimes"] = pa.Table.from_pylist(in_order, schema=SCHEMAS["runtimes"])
    return SimpleNamespace(**tables, shifted_states=shifted)


def assert_sums(trace: Any, edges: list[int], lookahead: int) -> None:
    """Check the sums of a trace that arrives in pieces, which end at the times `edges`."""
    decoder = TableDecoder({name: getattr(trace, name) for name in (*TABLES, "runtimes")})

    sums = Sums(lambda state: left_as(decoder.texts[state], trace.shifted_states), trace.shifted_states, lookahead)
    for edge in [*sorted(edges), None]:
        sums.take(decoder, edge)  # type: ignore[arg-type]
    names = [text.encode() for text in decoder.texts]
    assert_summed_up(by_task(sums, names), by_cpu(sums), trace, lookahead)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    hostile_streams(),
    st.lists(st.builds(runtime, st.integers(0, 120), st.integers(0, 5), st.integers(0, 9)), max_size=6),
    st.booleans(),
    st.sampled_from([0, 1, 2, 5, 30_000]),
    st.lists(st.integers(0, 120), max_size=6),
)
def test_sums_of_any_stream_in_any_pieces_equal_those_of_whole_tables(
    stream: Stream, runtimes: list[Row], shifted: bool, lookahead: int, edges: list[int]
) -> None:
    assert_sums(any_trace(stream, runtimes, shifted), edges, lookahead)


def test_a_task_that_is_accounted_first_has_waited_since_then() -> None:
    trace = any_trace(([switch(30, 1, "S", 2)], [], []), [runtime(10, 2)])
    assert_sums(trace, [20], 0)


def test_a_task_is_named_by_its_last_switch_before_any_other_event() -> None:
    late = [runtime(time, 1, comm="at the end") for time in (5, 50)]
    assert_sums(any_trace(([switch(30, 1, "S", 2)], [], []), late), [40], 0)

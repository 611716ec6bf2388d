"""Whatever a task is called, the text of its events gives the rows back that it was printed from."""

from __future__ import annotations

from typing import Any

import perf_text
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported import imported

from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tracepoint.comm import to_text

pytestmark = pytest.mark.slow

EVENTS = {
    "sched_switch": "switches",
    "sched_waking": "wakeups",
    "sched_stat_runtime": "runtimes",
    "sched_migrate_task": "migrations",
    "sched_process_fork": "forks",
    "sched_process_exit": "exits",
}
PARTS = [b"\n", b" ", b":", b"pid=1", b" prio=2", b"[000] ", b"1.000000: ", b"==> ", b"x", b"#", b"\x1b[m", b"Warning:"]
names = st.one_of(
    st.binary(max_size=15),
    st.lists(st.sampled_from(PARTS)).map(b"".join),
).map(lambda raw: to_text(raw.replace(b"\0", b"")[:15]))  # fmt: skip


def row(table: str, place: int, draw: st.DrawFn) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in SCHEMAS[table]:
        if field.name in ("kind", "prev_state", "vruntime_ns", "group_dead"):
            values[field.name] = {"kind": "waking", "prev_state": "S"}.get(field.name)
        elif pa.types.is_dictionary(field.type):
            values[field.name] = draw(names)
        else:
            values[field.name] = draw(st.integers(0, 9000))
    return {**values, "time_ns": 10**9 + place}


@st.composite
def events(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    kinds = ["sched_switch", *draw(st.lists(st.sampled_from(sorted(EVENTS)), max_size=8))]
    return [(kind, row(EVENTS[kind], place, draw)) for place, kind in enumerate(kinds)]


def printed(event: str, values: dict[str, Any], name: bytes) -> bytes:
    """Return an event as perf prints it while a task of this name runs."""
    table = pa.Table.from_pylist([values], schema=SCHEMAS[EVENTS[event]])
    ((time_ns, cpu, text),) = perf_text.as_perf_prints(table, event)
    head = name.rjust(16) + b" %5d [%03d] %5d.%09d: " % (7, cpu, *divmod(time_ns, 10**9))
    return head + f"sched:{event}".rjust(24).encode() + b": " + text + b"\n"


@settings(max_examples=40)
@given(events=events(), running=names)
def test_any_name_survives_the_text_of_perf_script(events: list[tuple[str, dict[str, Any]]], running: str) -> None:
    name = perf_text.to_bytes(running)
    result = imported(b"".join(printed(event, values, name) for event, values in events))
    for table in set(EVENTS.values()):
        expected = [values for event, values in events if EVENTS[event] == table]
        assert result.tables[table].to_pylist() == expected
    assert result.quality.samples == len(events)

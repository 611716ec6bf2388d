"""CPU time per task, for tables in one or several blocks."""

from __future__ import annotations

import pyarrow as pa

from harness.trace.tables.cpu_usage import UsageCounter
from harness.trace.tables.schemas import SCHEMAS


def stays(*rows: tuple[str, int, int]) -> pa.Table:
    """Slices of (comm, tid, slice_ns), with a dictionary of just their own names."""
    named = [{"comm": comm, "tid": tid, "slice_ns": slice_ns} for comm, tid, slice_ns in rows]
    return pa.Table.from_pylist(named, schema=SCHEMAS["slices"])


def test_chunks_of_a_table_may_have_different_dictionaries() -> None:
    count = UsageCounter()
    first, second = stays(("ab", 1, 10), ("nginx", 2, 30)), stays(("perf", 3, 20), ("ab", 1, 20), ("swapper", 0, 20))
    count.add(pa.concat_tables([first, second]))
    shares, idle = count.result()
    assert {comm: (used.cpu_share, used.slices, used.mean_slice_ns) for comm, used in shares.items()} == {
        "ab": (0.3, 2, 15),
        "nginx": (0.3, 1, 30),
        "perf": (0.2, 1, 20),
    }
    assert idle == 0.2


def test_without_slices_nobody_used_the_cpu() -> None:
    assert UsageCounter().result() == ({}, 0.0)

"""Rows of the event tables, for made-up streams of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from harness.trace.tables.schemas import SCHEMAS

Row = dict[str, Any]
TABLES = ("switches", "wakeups", "migrations")  # what slices are cut from


def switch(time: int, prev: int, state: str, following: int, cpu: int = 0) -> Row:
    names = {"prev_comm": f"t{prev}", "next_comm": f"t{following}", "prev_prio": 120, "next_prio": 120}
    return {"time_ns": time, "cpu": cpu, "prev_tid": prev, "prev_state": state, "next_tid": following, **names}


def wake(time: int, tid: int, cpu: int = 0, kind: str = "waking") -> Row:
    return {"time_ns": time, "cpu": 0, "kind": kind, "comm": f"t{tid}", "tid": tid, "prio": 120, "target_cpu": cpu}


def move(time: int, tid: int, orig: int, dest: int) -> Row:
    return {"time_ns": time, "cpu": 0, "comm": f"t{tid}", "tid": tid, "prio": 120, "orig_cpu": orig, "dest_cpu": dest}


def tables_of(*events: Sequence[Row]) -> list[pa.Table]:
    """Return the tables of switches, wakeups and migrations."""
    return [pa.Table.from_pylist(list(rows), schema=SCHEMAS[name]) for name, rows in zip(TABLES, events, strict=True)]

"""The output of `perf script`, and the rows of our tables in the same form."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.trace.tracepoint.comm import to_bytes

Row = tuple[int, int, bytes]  # time in ns, CPU, the event's own text
LIMIT_S = 240
_HEAD = re.compile(rb"^ *(-?\d+) +\[(\d+)\] +(\d+)\.(\d{9}): +sched:(sched_\w+): ", re.MULTILINE)


def script(recording: Path) -> dict[str, list[Row]]:
    """Return the rows that perf prints, by event. A row ends where the next begins, because names may hold newlines."""
    printed = subprocess.run(
        ["perf", "script", "-G", "-i", str(recording), "--ns", "-F", "tid,cpu,time,event,trace"],
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    ).stdout
    heads = list(_HEAD.finditer(printed))
    ends = [head.start() for head in heads[1:]] + [len(printed)]
    rows: dict[str, list[Row]] = {}
    for head, end in zip(heads, ends, strict=True):
        text = printed[head.end() : end].removesuffix(b"\n")
        rows.setdefault(head[5].decode(), []).append((int(head[3]) * 10**9 + int(head[4]), int(head[2]), text))
    return rows


def as_perf_prints(table: pa.Table, event: str) -> list[Row]:
    """Return the rows of one of our tables as `script` returns those of perf."""
    return [(row["time_ns"], row["cpu"], _PRINTERS[event](row)) for row in table.to_pylist()]


def _switch(row: dict[str, Any]) -> bytes:
    return b"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s ==> next_comm=%s next_pid=%d next_prio=%d" % (
        to_bytes(row["prev_comm"]),
        row["prev_tid"],
        row["prev_prio"],
        row["prev_state"].encode(),
        to_bytes(row["next_comm"]),
        row["next_tid"],
        row["next_prio"],
    )


def _task(row: dict[str, Any]) -> bytes:
    return b"comm=%s pid=%d prio=%d" % (to_bytes(row["comm"]), row["tid"], row["prio"])


def _wakeup(row: dict[str, Any]) -> bytes:
    return _task(row) + b" target_cpu=%03d" % row["target_cpu"]


def _runtime(row: dict[str, Any]) -> bytes:
    text = b"comm=%s pid=%d runtime=%d [ns]" % (to_bytes(row["comm"]), row["tid"], row["runtime_ns"])
    return text if row["vruntime_ns"] is None else text + b" vruntime=%d [ns]" % row["vruntime_ns"]


def _migration(row: dict[str, Any]) -> bytes:
    return _task(row) + b" orig_cpu=%d dest_cpu=%d" % (row["orig_cpu"], row["dest_cpu"])


def _fork(row: dict[str, Any]) -> bytes:
    names = to_bytes(row["comm"]), row["tid"], to_bytes(row["child_comm"]), row["child_tid"]
    return b"comm=%s pid=%d child_comm=%s child_pid=%d" % names


def _exec(row: dict[str, Any]) -> bytes:
    return b"filename=%s pid=%d old_pid=%d" % (to_bytes(row["filename"]), row["tid"], row["old_tid"])


def _exit(row: dict[str, Any]) -> bytes:
    dead = {True: b" group_dead=true", False: b" group_dead=false", None: b""}
    return _task(row) + dead[row["group_dead"]]


_PRINTERS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "sched_switch": _switch,
    "sched_waking": _wakeup,
    "sched_wakeup": _wakeup,
    "sched_wakeup_new": _wakeup,
    "sched_stat_runtime": _runtime,
    "sched_migrate_task": _migration,
    "sched_process_fork": _fork,
    "sched_process_exec": _exec,
    "sched_process_exit": _exit,
}

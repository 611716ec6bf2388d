"""A recording in numbers, per task and per CPU.

Run times follow `perf sched timehist --summary`: at every switch, the time since the last switch on that CPU is a run
of the task that leaves; the first switch on a CPU gives its task a run of zero. Delays follow `perf sched latency`:
from becoming runnable to being picked. A task whose first event is its pick has a delay of zero. If the first event of
a task is a sched_stat_runtime, its delay begins there, unless it is switched out before it is picked.
Unlike perf before 6.10, the waits of preempted tasks (state R+) count as delays, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.trace.perf_data.recording import path_in_errors
from harness.trace.quality import TraceQuality
from harness.trace.reader import RecordingInfo, Trace, read
from harness.trace.runqueue.slicer import left_runnable, slices_in_batches, still_runnable
from harness.trace.runqueue.tracker import EventBatch, Tracker
from harness.trace.tables.columns import codes, column, numbers, previous_in_group, texts

_NEVER = np.iinfo(np.int64).max
TASK_SCHEMA = pa.schema(
    [
        ("comm", pa.string()),  # the last one, of a task that changed it
        ("tid", pa.int32()),
        ("runs", pa.int64()),
        ("run_ns", pa.int64()),
        ("run_min_ns", pa.int64()),
        ("run_mean_ns", pa.float64()),
        ("run_max_ns", pa.int64()),
        ("run_error_percent", pa.float64()),  # standard error of the mean, in percent of the mean
        ("preemptions", pa.int64()),
        ("migrations", pa.int64()),
        ("delays", pa.int64()),
        ("delay_mean_ns", pa.float64()),
        ("delay_max_ns", pa.int64()),
        ("delay_max_from_ns", pa.int64()),
        ("runtime_ns", pa.int64()),  # accounted by the scheduler (sched_stat_runtime)
    ]
)
CPU_SCHEMA = pa.schema(
    [
        ("cpu", pa.int16()),
        ("switches", pa.int64()),
        ("busy_ns", pa.int64()),
        ("idle_ns", pa.int64()),
        ("preemptions", pa.int64()),
        ("contested", pa.int64()),
        ("runnable_mean", pa.float64()),  # tasks, the picked one included, in all slices but the idle task's
        ("runnable_max", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Summary:
    """A recording in numbers: `tasks` has the columns of TASK_SCHEMA, `cpus` those of CPU_SCHEMA."""

    path: Path
    header: RecordingInfo
    quality: TraceQuality
    tasks: pa.Table
    cpus: pa.Table

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types, for JSON."""
        return {
            "path": str(self.path),
            "header": asdict(self.header),
            "quality": self.quality.to_dict(),
            "tasks": self.tasks.to_pylist(),
            "cpus": self.cpus.to_pylist(),
        }


def summarize(
    recording: Path | str,
    *,
    strict: bool = False,
    formats_from: Path | str | None = None,
    states: str | None = None,
) -> Summary:
    """Count and time the tasks and CPUs of a recording, read as `read` does. Raises TraceError."""
    trace = read(recording, strict=strict, formats_from=formats_from, states=states)
    with path_in_errors(trace.path):
        tasks, cpus = task_summary(trace), cpu_summary(trace, slices_in_batches(trace))
    return Summary(trace.path, trace.header, trace.quality, tasks, cpus)


def task_summary(trace: Trace) -> pa.Table:
    """Return one row per task except the idle tasks, longest total run first, with the columns of TASK_SCHEMA."""
    switches = trace.switches
    prev, following = numbers(switches, "prev_tid"), numbers(switches, "next_tid")
    tids = np.unique(np.concatenate([prev, following, numbers(trace.runtimes, "tid")]))
    tids = tids[tids != 0]
    groups = _Groups(tids)
    runs = groups.statistics(prev, _runs(trace))
    delay_tid, delay_ns, delay_from = _delays(trace, groups)
    delays = groups.statistics(delay_tid, delay_ns)
    columns = {
        "comm": _last_names(trace, tids),
        "tid": tids,
        "runs": runs["count"],
        "run_ns": runs["sum"],
        "run_min_ns": runs["min"],
        "run_mean_ns": runs["mean"],
        "run_max_ns": runs["max"],
        "run_error_percent": runs["error_percent"],
        "preemptions": groups.count(prev[still_runnable(trace)]),
        "migrations": groups.count(numbers(trace.migrations, "tid")),
        "delays": delays["count"],
        "delay_mean_ns": delays["mean"],
        "delay_max_ns": delays["max"],
        "delay_max_from_ns": groups.at_largest(delay_tid, delay_ns, delay_from),
        "runtime_ns": groups.statistics(numbers(trace.runtimes, "tid"), numbers(trace.runtimes, "runtime_ns"))["sum"],
    }
    return _table(columns, TASK_SCHEMA).sort_by([("run_ns", "descending"), ("tid", "ascending")])


def cpu_summary(trace: Trace, slices: Iterable[pa.Table]) -> pa.Table:
    """Return one row per CPU with the columns of CPU_SCHEMA; `slices` are the recording's, in one table or many."""
    switches = trace.switches
    groups = _Groups(np.unique(numbers(switches, "cpu")))
    cpu, prev, runs = numbers(switches, "cpu"), numbers(switches, "prev_tid"), _runs(trace)
    idle = prev == 0
    picks, runnable, most, contested = (np.zeros(len(groups.keys), np.int64) for _ in range(4))
    for batch in slices:
        slice_cpu, busy = numbers(batch, "cpu"), numbers(batch, "tid") != 0
        sizes = np.diff(column(batch, "runnable").offsets.to_numpy())
        queue = groups.statistics(slice_cpu[busy], sizes[busy])
        picks, runnable, most = picks + queue["count"], runnable + queue["sum"], np.maximum(most, queue["max"])
        contested += groups.count(slice_cpu[numbers(batch, "contested")])
    columns = {
        "cpu": groups.keys,
        "switches": groups.count(cpu),
        "busy_ns": groups.statistics(cpu[~idle], runs[~idle])["sum"],
        "idle_ns": groups.statistics(cpu[idle], runs[idle])["sum"],
        "preemptions": groups.count(cpu[still_runnable(trace) & ~idle]),
        "contested": contested,
        "runnable_mean": runnable / np.maximum(picks, 1),
        "runnable_max": most,
    }
    return _table(columns, CPU_SCHEMA)


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


class _Groups:
    """Counts and statistics of rows by key. `keys` are sorted; rows with other keys are left out."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys

    def _members(self, row_keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the rows whose key is in `keys`, and the group of each."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        group = np.minimum(np.searchsorted(self.keys, row_keys), len(self.keys) - 1)
        members = np.flatnonzero(self.keys[group] == row_keys)
        return members, group[members]

    def count(self, row_keys: np.ndarray) -> np.ndarray:
        """Return how many rows each key has."""
        return np.bincount(self._members(row_keys)[1], minlength=len(self.keys))

    def statistics(self, row_keys: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return count, sum, min, max, mean, and the mean's standard error in percent; zeros for an empty group."""
        members, group = self._members(row_keys)
        chosen = values[members].astype(np.int64)
        count = np.bincount(group, minlength=len(self.keys))
        total, low, high = (np.zeros(len(self.keys), np.int64) for _ in range(3))
        np.add.at(total, group, chosen)
        low[:] = _NEVER
        np.minimum.at(low, group, chosen)
        np.maximum.at(high, group, chosen)
        mean = total / np.maximum(count, 1)
        squares = np.bincount(group, (chosen - mean[group]) ** 2, minlength=len(self.keys))
        error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
        percent = np.divide(100 * error, mean, out=np.zeros(len(mean)), where=mean > 0)
        low[count == 0] = 0
        return {"count": count, "sum": total, "min": low, "max": high, "mean": mean, "error_percent": percent}

    def first(self, row_keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the first value of each key; _NEVER for an empty group."""
        members, group = self._members(row_keys)
        firsts = np.full(len(self.keys), _NEVER)
        firsts[group[::-1]] = values[members[::-1]]  # of several assignments to one element the last one holds
        return firsts

    def at_largest(self, row_keys: np.ndarray, values: np.ndarray, results: np.ndarray) -> np.ndarray:
        """Return for each key `results` at the first row where `values` is largest; 0 for a key without rows."""
        members, group = self._members(row_keys)
        order = np.lexsort([-members, values[members], group])
        chosen = np.zeros(len(self.keys), np.int64)
        chosen[group[order]] = results[members[order]]
        return chosen


def _runs(trace: Trace) -> np.ndarray:
    """Return for every switch the time since the switch before it on the same CPU (ns); zero for the first."""
    time, before = numbers(trace.switches, "time_ns"), previous_in_group(numbers(trace.switches, "cpu"))
    return np.where(before >= 0, time - time[before], 0)


def _delays(trace: Trace, groups: _Groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tid, delay and begin of the delay (ns) for each pick with a known begin; `_first_picks` adds begins."""
    switches = trace.switches
    time, tid = numbers(switches, "time_ns"), numbers(switches, "next_tid")
    no_sets = np.zeros(switches.num_rows, np.uint8)
    left = left_runnable(switches, trace.shifted_states)
    batch = EventBatch(switches, trace.wakeups, trace.migrations, left, no_sets)
    begins = Tracker(trace.shifted_states).feed(batch).wait_ns
    rows, since = _first_picks(trace, groups)
    begins[rows] = since
    rows = np.flatnonzero((begins >= 0) & (tid != 0))
    return tid[rows], time[rows] - begins[rows], begins[rows]


def _first_picks(trace: Trace, groups: _Groups) -> tuple[np.ndarray, np.ndarray]:
    """Return first pick (row) and first event (ns) of each task whose first event is a pick or a sched_stat_runtime."""
    switches, wakeups, runtimes = trace.switches, trace.wakeups, trace.runtimes
    time, rows = numbers(switches, "time_ns"), np.arange(switches.num_rows)
    left = groups.first(numbers(switches, "prev_tid"), time)
    picked = groups.first(numbers(switches, "next_tid"), time)
    woken = groups.first(numbers(wakeups, "tid"), numbers(wakeups, "time_ns"))
    accounted = groups.first(numbers(runtimes, "tid"), numbers(runtimes, "time_ns"))
    since = np.minimum(picked, np.where(accounted < woken, accounted, _NEVER))
    chosen = (picked < left) & ((picked <= woken) | (accounted < woken))
    return groups.first(numbers(switches, "next_tid"), rows)[chosen], since[chosen]


def _last_names(trace: Trace, tids: np.ndarray) -> list[str]:
    """Return the last name of each task, at a switch or a sched_stat_runtime."""
    names: dict[int, str] = {}
    for table, tid_column, comm_column in (
        (trace.runtimes, "tid", "comm"),
        (trace.switches, "next_tid", "next_comm"),
        (trace.switches, "prev_tid", "prev_comm"),
    ):
        last, rows = np.unique(numbers(table, tid_column)[::-1], return_index=True)
        comms, comm_of = texts(table, comm_column), codes(table, comm_column)[::-1]
        names.update(zip(last.tolist(), (comms[code] for code in comm_of[rows].tolist()), strict=True))
    return [names.get(tid, "") for tid in tids.tolist()]

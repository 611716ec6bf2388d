"""Summaries as numpy makes them from whole tables: the definition that the compiled sums are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from harness.trace.reader import Trace
from harness.trace.runqueue.lookahead import LOOKAHEAD
from harness.trace.runqueue.slicer import left_runnable, slice_table, true_states
from harness.trace.runqueue.tracker import EventBatch, SwitchWaits, Tracker
from harness.trace.summary import CpuSummary, TaskSummary
from harness.trace.tables.columns import codes, column, numbers, previous_in_group, texts
from harness.trace.tables.schemas import CPU_SCHEMA, TASK_SCHEMA
from harness.trace.tracepoint.task_state import is_runnable

_NEVER = np.iinfo(np.int64).max


def task_summary(trace: Trace, lookahead: int = LOOKAHEAD) -> pa.Table:
    """Return one row per task except the idle tasks, longest total run first, with the columns of TASK_SCHEMA."""
    switches = _switches(trace)
    prev, following = numbers(switches, "prev_tid"), numbers(switches, "next_tid")
    tids = np.unique(np.concatenate([prev, following, numbers(trace.runtimes, "tid")]))
    tids = tids[tids != 0]
    groups = _Groups(tids)
    runs = groups.statistics(prev, _runs(switches))
    delay_tid, delay_ns, delay_from = _delays(trace, groups, lookahead)
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
        "preemptions": groups.count(prev[_still_runnable(trace, lookahead)]),
        "migrations": groups.count(numbers(trace.migrations, "tid")),
        "delays": delays["count"],
        "delay_mean_ns": delays["mean"],
        "delay_max_ns": delays["max"],
        "delay_max_from_ns": groups.at_largest(delay_tid, delay_ns, delay_from),
        "runtime_ns": groups.statistics(numbers(trace.runtimes, "tid"), numbers(trace.runtimes, "runtime_ns"))["sum"],
    }
    return _table(columns, TASK_SCHEMA).sort_by([("run_ns", "descending"), ("tid", "ascending")])


def cpu_summary(trace: Trace, slices: Iterable[pa.Table], lookahead: int = LOOKAHEAD) -> pa.Table:
    """Return one row per CPU with the columns of CPU_SCHEMA; `slices` are the recording's, in one table or many."""
    switches = _switches(trace)
    groups = _Groups(np.unique(numbers(switches, "cpu")))
    cpu, prev, runs = numbers(switches, "cpu"), numbers(switches, "prev_tid"), _runs(switches)
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
        "preemptions": groups.count(cpu[_still_runnable(trace, lookahead) & ~idle]),
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


def _switches(trace: Trace) -> pa.Table:
    """Return the switches; those of one time are sorted by CPU."""
    order = np.lexsort([numbers(trace.switches, "cpu"), numbers(trace.switches, "time_ns")])
    return trace.switches.take(pa.array(order)).combine_chunks()


def _runs(switches: pa.Table) -> np.ndarray:
    """Return for every switch the time since the switch before it on the same CPU (ns); zero for the first."""
    time, before = numbers(switches, "time_ns"), previous_in_group(numbers(switches, "cpu"))
    return np.where(before >= 0, time - time[before], 0)


def _tracked(trace: Trace, lookahead: int) -> SwitchWaits:
    switches = _switches(trace)
    no_sets, left = np.zeros(switches.num_rows, np.uint8), left_runnable(switches, trace.shifted_states)
    batch = EventBatch(switches, trace.wakeups, trace.migrations, left, no_sets)
    return Tracker(trace.shifted_states, lookahead).feed(batch)


def _still_runnable(trace: Trace, lookahead: int) -> np.ndarray:
    """Return for each switch whether the task that left was still runnable."""
    states = true_states(_switches(trace), trace.shifted_states, _tracked(trace, lookahead).slept)
    runnable = [is_runnable(text) for text in states.dictionary.to_pylist()]
    return np.array([*runnable, False], dtype=bool)[states.indices.to_numpy()]


def _delays(trace: Trace, groups: _Groups, lookahead: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tid, delay and begin of the delay (ns) for each pick with a known begin; `_first_picks` adds begins."""
    switches = _switches(trace)
    time, tid = numbers(switches, "time_ns"), numbers(switches, "next_tid")
    begins = _tracked(trace, lookahead).wait_ns
    rows, since = _first_picks(trace, groups)
    begins[rows] = since
    rows = np.flatnonzero((begins >= 0) & (tid != 0))
    return tid[rows], time[rows] - begins[rows], begins[rows]


def _first_picks(trace: Trace, groups: _Groups) -> tuple[np.ndarray, np.ndarray]:
    """Return first pick (row) and first event (ns) of each task whose first event is a pick or a sched_stat_runtime."""
    switches, wakeups, runtimes = _switches(trace), trace.wakeups, trace.runtimes
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
        (_switches(trace), "next_tid", "next_comm"),
        (_switches(trace), "prev_tid", "prev_comm"),
    ):
        last, rows = np.unique(numbers(table, tid_column)[::-1], return_index=True)
        comms, comm_of = texts(table, comm_column), codes(table, comm_column)[::-1]
        names.update(zip(last.tolist(), (comms[code] for code in comm_of[rows].tolist()), strict=True))
    return [names.get(tid, "") for tid in tids.tolist()]


def assert_summed_up(tasks: Sequence[TaskSummary], cpus: Sequence[CpuSummary], trace: Trace, lookahead: int) -> None:
    """Check that these are the numbers of the tasks and CPUs of `trace`."""
    slices = slice_table(
        trace.switches, trace.wakeups, trace.migrations, shifted_states=trace.shifted_states, lookahead=lookahead
    )
    for expected, found in (
        (task_summary(trace, lookahead).to_pylist(), [asdict(task) for task in tasks]),
        (cpu_summary(trace, [slices], lookahead).to_pylist(), [asdict(cpu) for cpu in cpus]),
    ):
        assert len(found) == len(expected)
        for row, other in zip(found, expected, strict=True):
            exact = {name: value for name, value in other.items() if not isinstance(value, float)}
            assert {name: row[name] for name in exact} == exact
            rounded = {name: value for name, value in other.items() if name not in exact}
            assert {name: row[name] for name in rounded} == pytest.approx(rounded, rel=1e-9, abs=1e-9)
            assert row.keys() == other.keys()

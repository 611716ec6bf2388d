"""Per-task and per-CPU summaries.

Run times follow `perf sched timehist --summary`: at every switch, the time since the last switch on that CPU is the
switched-out task's; the first switch on a CPU gives its task a run of zero. Delays follow `perf sched latency`: from
becoming runnable to being picked, where a task that is first heard of by being picked counts as a delay of zero, and
one that is first heard of by its accounting counts as waiting from then on, unless it is next seen to leave a CPU.
(Versions of perf before 6.10 do not count the waits of preempted tasks, state R+, as delays; these do.)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from harness.trace.reader import Trace
from harness.trace.runqueue.tracker import EventBatch, Tracker
from harness.trace.tables.columns import column, numbers, texts
from harness.trace.tracepoint.task_state import is_runnable, true_state

NEVER = np.iinfo(np.int64).max
TASK_SCHEMA = pa.schema(
    [
        ("comm", pa.string()),  # as last seen
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
        ("runtime_ns", pa.int64()),  # as the scheduler accounted it (sched_stat_runtime)
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
        ("runnable_mean", pa.float64()),  # tasks, the picked one included, over all slices but the idle task's
        ("runnable_max", pa.int64()),
    ]
)


def task_summary(trace: Trace) -> pa.Table:
    """One row per task, the longest total run first, with the columns of TASK_SCHEMA. The idle tasks have none."""
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
        "preemptions": groups.count(prev[_left_runnable(trace)]),
        "migrations": groups.count(numbers(trace.migrations, "tid")),
        "delays": delays["count"],
        "delay_mean_ns": delays["mean"],
        "delay_max_ns": delays["max"],
        "delay_max_from_ns": groups.at_largest(delay_tid, delay_ns, delay_from),
        "runtime_ns": groups.statistics(numbers(trace.runtimes, "tid"), numbers(trace.runtimes, "runtime_ns"))["sum"],
    }
    table = pa.Table.from_arrays(
        [pa.array(columns[field.name], field.type) for field in TASK_SCHEMA], schema=TASK_SCHEMA
    )
    return table.sort_by([("run_ns", "descending"), ("tid", "ascending")])


def cpu_summary(trace: Trace, slices: Iterable[pa.Table]) -> pa.Table:
    """One row per CPU, with the columns of CPU_SCHEMA; `slices` are those of the recording, in one table or many."""
    switches = trace.switches
    groups = _Groups(np.unique(numbers(switches, "cpu")))
    cpu, prev, runs = numbers(switches, "cpu"), numbers(switches, "prev_tid"), _runs(trace)
    idle = prev == 0
    picks, runnable, most, contested = (np.zeros(len(groups.keys), np.int64) for _ in range(4))
    for piece in slices:
        slice_cpu, busy = numbers(piece, "cpu"), numbers(piece, "tid") != 0
        sizes = np.diff(column(piece, "runnable").offsets.to_numpy())
        found = groups.statistics(slice_cpu[busy], sizes[busy])
        picks, runnable, most = picks + found["count"], runnable + found["sum"], np.maximum(most, found["max"])
        contested += groups.count(slice_cpu[numbers(piece, "contested")])
    columns = {
        "cpu": groups.keys,
        "switches": groups.count(cpu),
        "busy_ns": groups.statistics(cpu[~idle], runs[~idle])["sum"],
        "idle_ns": groups.statistics(cpu[idle], runs[idle])["sum"],
        "preemptions": groups.count(cpu[_left_runnable(trace) & ~idle]),
        "contested": contested,
        "runnable_mean": runnable / np.maximum(picks, 1),
        "runnable_max": most,
    }
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in CPU_SCHEMA], schema=CPU_SCHEMA)


class _Groups:
    """Counts and statistics of values by key; `keys` are sorted, and values of other keys are left out."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys

    def _members(self, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places of values whose key is known, and the number of each one's group."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        group = np.minimum(np.searchsorted(self.keys, of), len(self.keys) - 1)
        chosen = np.flatnonzero(self.keys[group] == of)
        return chosen, group[chosen]

    def count(self, of: np.ndarray) -> np.ndarray:
        """How often each key occurs."""
        return np.bincount(self._members(of)[1], minlength=len(self.keys))

    def statistics(self, of: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
        """count, sum, min, max, mean and the standard error of the mean in percent of it; zero for an empty group."""
        chosen, group = self._members(of)
        picked = values[chosen].astype(np.int64)
        count = np.bincount(group, minlength=len(self.keys))
        total, low, high = (np.zeros(len(self.keys), np.int64) for _ in range(3))
        np.add.at(total, group, picked)
        low[:] = np.iinfo(np.int64).max
        np.minimum.at(low, group, picked)
        np.maximum.at(high, group, picked)
        mean = total / np.maximum(count, 1)
        squares = np.bincount(group, (picked - mean[group]) ** 2, minlength=len(self.keys))
        error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
        percent = np.divide(100 * error, mean, out=np.zeros(len(mean)), where=mean > 0)
        low[count == 0] = 0
        return {"count": count, "sum": total, "min": low, "max": high, "mean": mean, "error_percent": percent}

    def first(self, of: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The first value of each key; NEVER for an empty group."""
        chosen, group = self._members(of)
        found = np.full(len(self.keys), NEVER)
        found[group[::-1]] = values[chosen[::-1]]  # what is written last stays
        return found

    def at_largest(self, of: np.ndarray, values: np.ndarray, what: np.ndarray) -> np.ndarray:
        """For each key, `what` stands where its first largest value stands; zero for an empty group."""
        chosen, group = self._members(of)
        order = np.lexsort([-chosen, values[chosen], group])
        found = np.zeros(len(self.keys), np.int64)
        found[group[order]] = what[chosen[order]]
        return found


def _runs(trace: Trace) -> np.ndarray:
    """The time since the last switch on the same CPU (ns), for every switch; zero for the first."""
    cpu, time = numbers(trace.switches, "cpu"), numbers(trace.switches, "time_ns")
    order = np.argsort(cpu, kind="stable")
    runs = np.zeros(len(cpu), np.int64)
    same = cpu[order][1:] == cpu[order][:-1]
    runs[order[1:]] = np.where(same, np.diff(time[order]), 0)
    return runs


def _left_runnable(trace: Trace) -> np.ndarray:
    """At which switches the task that left still wanted the CPU."""
    letters = texts(trace.switches, "prev_state")
    wanted = [is_runnable(true_state(text, trace.shifted_states)) for text in letters]
    return np.array([*wanted, False], bool)[column(trace.switches, "prev_state").indices.to_numpy()]


def _delays(trace: Trace, groups: _Groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every pick whose wait is known, and of the first sight of a task: tid, delay and its begin (ns)."""
    switches = trace.switches
    time, tid = numbers(switches, "time_ns"), numbers(switches, "next_tid")
    no_sets = np.zeros(switches.num_rows, np.uint8)
    tracker = Tracker(trace.shifted_states)
    fed = EventBatch(switches, trace.wakeups, trace.migrations, _left_runnable(trace), no_sets)
    begins = tracker.feed(fed).wait_ns
    rows, since = _first_picks(trace, groups)
    begins[rows] = since
    rows = np.flatnonzero((begins >= 0) & (tid != 0))
    return tid[rows], time[rows] - begins[rows], begins[rows]


def _first_picks(trace: Trace, groups: _Groups) -> tuple[np.ndarray, np.ndarray]:
    """The first picks of tasks that were first heard of by it or by their accounting, and when that was (ns)."""
    switches, wakeups, runtimes = trace.switches, trace.wakeups, trace.runtimes
    time, rows = numbers(switches, "time_ns"), np.arange(switches.num_rows)
    left = groups.first(numbers(switches, "prev_tid"), time)
    picked = groups.first(numbers(switches, "next_tid"), time)
    woken = groups.first(numbers(wakeups, "tid"), numbers(wakeups, "time_ns"))
    accounted = groups.first(numbers(runtimes, "tid"), numbers(runtimes, "time_ns"))
    since = np.minimum(picked, np.where(accounted < woken, accounted, NEVER))
    chosen = (picked < left) & ((picked <= woken) | (accounted < woken))
    return groups.first(numbers(switches, "next_tid"), rows)[chosen], since[chosen]


def _last_names(trace: Trace, tids: np.ndarray) -> list[str]:
    """The name each task was last seen with, at a switch or in its accounting."""
    names: dict[int, str] = {}
    seen = [
        (trace.runtimes, "tid", "comm"),
        (trace.switches, "next_tid", "next_comm"),
        (trace.switches, "prev_tid", "prev_comm"),
    ]
    for table, key, name in seen:
        of, codes, words = numbers(table, key), column(table, name).indices.to_numpy(), texts(table, name)
        last, places = np.unique(of[::-1], return_index=True)
        names.update(zip(last.tolist(), (words[code] for code in codes[::-1][places].tolist()), strict=True))
    return [names.get(tid, "") for tid in tids.tolist()]

"""Adds up events by task and by CPU while a recording is decoded, in memory that does not grow with it.

native/summary.c does the work; summary.py says what each number means.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from ctypes import POINTER, Structure, addressof, byref, c_double, c_int32, c_int64, c_uint64, c_void_p
from enum import IntEnum

from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.native.library import Signatures, load_functions
from harness.trace.runqueue.lookahead import LOOKAHEAD
from harness.trace.tracepoint.task_state import PREEMPTED, is_runnable, true_state

_CPUS = 1 << 16
_COLUMNS = {
    "switches": ("time_ns", "cpu", "prev_tid", "prev_state", "next_tid", "prev_comm", "next_comm"),
    "wakeups": ("time_ns", "tid", "target_cpu"),
    "migrations": ("time_ns", "tid", "dest_cpu"),
    "runtimes": ("time_ns", "tid", "runtime_ns", "comm"),
}
_HELD = ("switches", "wakeups", "migrations")  # until later events have shown what they mean


class _Events(Structure):
    """`struct summary_events` of native/summary.h."""

    _fields_ = tuple(
        (f"{table}_{name}", c_int64 if name == "rows" else c_void_p)
        for table, columns in _COLUMNS.items()
        for name in ("rows", *columns)
    )


class Statistics(Structure):
    """`struct statistics`: count, sum, least and largest of some times (ns); zeros if there were none."""

    _fields_ = (
        *((name, c_int64) for name in ("count", "sum", "least", "largest")),
        *((name, c_double) for name in ("mean", "squares")),
    )


class TaskSums(Structure):
    """`struct task_summary`: `name` is the number of the task's last name."""

    _fields_ = (
        *((name, c_int32) for name in ("tid", "name", "name_rank", "was_picked")),
        ("runs", Statistics),
        ("delays", Statistics),
        *((name, c_int64) for name in ("longest_delay_from", "preemptions", "migrations", "runtime_ns")),
        *((name, c_int64) for name in ("first_left", "first_woken", "first_accounted")),
    )


class CpuSums(Structure):
    """`struct cpu_summary`."""

    _fields_ = (
        *((name, c_int64) for name in ("switches", "busy_ns", "idle_ns", "preemptions", "contested")),
        *((name, c_int64) for name in ("picks", "runnable", "most_runnable", "last_ns", "open_runnable")),
        ("open_tid", c_int32),
    )


_FUNCTIONS: Signatures = {
    "summary_new": (c_void_p, [c_int64, c_int64, c_uint64]),
    "summary_free": (None, [c_void_p]),
    "summary_feed": (c_int64, [c_void_p, POINTER(_Events), c_void_p, c_int64, c_void_p]),
    "summary_tasks": (POINTER(TaskSums), [c_void_p, POINTER(c_int64)]),
    "summary_cpus": (POINTER(CpuSums), [c_void_p]),
}


class LeftAs(IntEnum):
    """`enum left_as` of native/summary.h: what a prev_state tells of the task that left."""

    ASLEEP, RUNNABLE, RUNNABLE_UNLESS_IT_SLEPT = range(3)


def left_as(letters: str, shifted_states: bool) -> LeftAs:
    """Return what the letters of a prev_state tell; `shifted_states`: they are one bit too high."""
    state = true_state(letters, shifted_states)
    if not is_runnable(state):
        return LeftAs.ASLEEP
    return LeftAs.RUNNABLE_UNLESS_IT_SLEPT if shifted_states and state == PREEMPTED else LeftAs.RUNNABLE


class Sums:
    """The sums of a recording's events. `left_as` gives the meaning of each number of prev_state.

    `shifted_states`: the kernel reports prev_state one bit too high.
    """

    def __init__(
        self, left_as: Callable[[int], LeftAs], shifted_states: bool = False, lookahead: int = LOOKAHEAD
    ) -> None:
        native = self._native = load_functions(_FUNCTIONS)
        self._sums = native.summary_new(shifted_states, lookahead, int.from_bytes(os.urandom(8), "little"))
        if not self._sums:
            raise MemoryError("no room for sums")
        weakref.finalize(self, native.summary_free, self._sums).atexit = False
        self._left_as, self._meanings = left_as, b""  # by number of a state

    def take(self, decoder: NativeDecoder, limit_ns: int | None) -> None:
        """Take the rows before `limit_ns`, of which no earlier ones will come (None: all), out of the decoder."""
        decoder.sort()
        if "switches" in decoder.tables:
            decoder.sort_by_cpu("switches")
        settled = self._feed(decoder, limit_ns)
        rows = {table: decoder.rows_before(table, limit_ns) for table in decoder.tables} | settled
        rows = {table: rows[table] for table in decoder.tables}
        decoder.follow(rows)
        for table, count in rows.items():
            decoder.drop(table, count)

    def _feed(self, decoder: NativeDecoder, limit_ns: int | None) -> dict[str, int]:
        """Pass on the rows before `limit_ns`. Return how many of each table need not be passed on again."""
        events, settled = _Events(), (c_int64 * len(_HELD))()
        for table in decoder.tables & _COLUMNS.keys():
            rows = decoder.rows_before(table, limit_ns)
            block = decoder.view(table, rows)
            setattr(events, f"{table}_rows", rows)
            for column in _COLUMNS[table]:
                setattr(events, f"{table}_{column}", addressof(block[column]))
        self._meanings += bytes(map(self._left_as, decoder.states()[len(self._meanings) :]))
        if self._native.summary_feed(self._sums, byref(events), self._meanings, limit_ns is None, settled):
            raise MemoryError("no room to add up events")
        return dict(zip(_HELD, settled, strict=True))

    def tasks(self) -> Iterator[TaskSums]:
        """Yield the sums of each task that ran or was accounted, in no order."""
        count = c_int64()
        tasks = self._native.summary_tasks(self._sums, byref(count))
        return (task for task in tasks[: count.value] if task.name_rank)

    def cpus(self) -> Iterator[tuple[int, CpuSums]]:
        """Yield each CPU that switched tasks, in ascending order, and its sums."""
        cpus = self._native.summary_cpus(self._sums)
        numbers = [*range(-_CPUS // 2, 0), *range(_CPUS // 2)]
        return ((cpu, cpus[cpu % _CPUS]) for cpu in numbers if cpus[cpu % _CPUS].switches)

"""Follows tasks through a stream of events: since when each waits for a CPU, and which tasks wait at each switch.

native/tracker.c does the work, event by event, with a queue for each CPU; this module passes it the columns.
slicer.py states the rules.
"""

from __future__ import annotations

import os
import weakref
from ctypes import POINTER, Structure, byref, c_int64, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from harness.errors import TraceError
from harness.trace.native.library import Signatures, load_functions
from harness.trace.runqueue.lookahead import LOOKAHEAD
from harness.trace.tables.columns import numbers
from harness.trace.tables.schemas import numbers_column

MAX_VALUES = (1 << 31) - 1  # offsets of Arrow lists have 32 bits


@dataclass(frozen=True)
class EventBatch:
    """Events for a tracker; each table is sorted by time.

    `runnable`, for each switch: whether the task that left still wanted the CPU. `group`, for each switch that is to be
    settled: 1 or 2, whose runnable sets are returned in separate lists, or 0 for no runnable set.
    """

    switches: pa.Table
    wakeups: pa.Table
    moves: pa.Table
    runnable: np.ndarray
    group: np.ndarray


@dataclass(frozen=True)
class SwitchWaits:
    """For each switch: when the picked task began to wait, and when it was woken (ns); -1 where that is not known.

    `sets[0]` lists the runnable tasks of each switch of group 1, `sets[1]` those of group 2. `slept`: whether the task
    that left went to sleep, whatever its state says.
    """

    wait_ns: np.ndarray
    wake_ns: np.ndarray
    sets: tuple[pa.ListArray, ...]
    slept: np.ndarray


class _Events(Structure):
    """`struct events` of native/tracker.h."""

    _fields_ = (
        *((name, c_int64) for name in ("switches", "settled_switches")),
        *((name, c_void_p) for name in ("switch_ns", "cpu", "prev", "next", "leave_kind")),
        *((name, c_int64) for name in ("wakeups", "settled_wakeups")),
        *((name, c_void_p) for name in ("wake_ns", "woken", "target")),
        *((name, c_int64) for name in ("moves", "settled_moves")),
        *((name, c_void_p) for name in ("move_ns", "moved", "dest")),
    )


class _SwitchWaits(Structure):
    """`struct switch_waits` of native/tracker.h."""

    _fields_ = tuple((name, c_void_p) for name in ("group", "wait_ns", "woken_ns", "length"))


_FUNCTIONS: Signatures = {
    "tracker_new": (c_void_p, [c_int64, c_int64, c_int64, c_uint64]),
    "tracker_free": (None, [c_void_p]),
    "tracker_waiting": (c_int64, [c_void_p]),
    "tracker_feed": (c_int64, [c_void_p, POINTER(_Events), POINTER(_SwitchWaits)]),
    "tracker_take_sets": (c_void_p, [c_void_p, c_int64]),
    "tracker_free_sets": (None, [c_void_p]),
}
_NO_MEMORY = -1
_LEFT_ASLEEP = 0  # `enum leave_kind` of native/tracker.h


class Tracker:
    """Follows tasks through a stream of events that comes in batches.

    `shifted_states`: the kernel reports prev_state one bit too high. `lookahead`: how many events after a switch may
    show whether the task that left it waits. `most_values`: tasks in the runnable sets of one batch, at most.
    """

    def __init__(self, shifted_states: bool = False, lookahead: int = LOOKAHEAD, most_values: int = MAX_VALUES) -> None:
        native = self._native = load_functions(_FUNCTIONS)
        self._most_values = most_values
        self._tracker = native.tracker_new(
            shifted_states, lookahead, most_values, int.from_bytes(os.urandom(8), "little")
        )
        if not self._tracker:
            raise MemoryError("no room to follow tasks")
        weakref.finalize(self, native.tracker_free, self._tracker).atexit = False

    @property
    def waiting(self) -> int:
        """How many tasks wait after the last batch; an upper bound."""
        return int(self._native.tracker_waiting(self._tracker))

    def feed(self, batch: EventBatch, before_ns: int | None = None) -> SwitchWaits:
        """Settle the switches before `before_ns` (None: all); later events must be fed again with the next batch.

        `batch.group` has a value for each switch before `before_ns`. The batch must have at least `lookahead` events
        from there on, or all up to the end of the stream. Raises TraceError where the runnable sets hold more than
        `most_values` tasks, ValueError where `runnable` or `group` has another length than the switches.
        """
        group, leave_kinds = np.ascontiguousarray(batch.group, np.uint8), batch.runnable.astype(np.uint8)
        tables = (
            [*_columns(batch.switches, time_ns="i8", cpu="i2", prev_tid="i4", next_tid="i4"), leave_kinds],
            _columns(batch.wakeups, time_ns="i8", tid="i4", target_cpu="i2"),
            _columns(batch.moves, time_ns="i8", tid="i4", dest_cpu="i2"),
        )
        fields: list[int] = []
        for columns in tables:
            times = columns[0]
            fields += [len(times), len(times) if before_ns is None else int(np.searchsorted(times, before_ns))]
            fields += [column.ctypes.data for column in columns]
        # with other lengths C would read or write beyond the end of the shorter one
        if (len(leave_kinds), len(group)) != (fields[0], fields[1]):
            raise ValueError(
                f"{len(leave_kinds)} and {len(group)} marks for {fields[0]} switches, {fields[1]} of them settled"
            )
        results = [np.empty(len(group), dtype) for dtype in (np.int64, np.int64, np.int32)]
        out = _SwitchWaits(group.ctypes.data, *(column.ctypes.data for column in results))
        failed = self._native.tracker_feed(self._tracker, byref(_Events(*fields)), byref(out))
        _require_done(failed, self._most_values)
        wait_ns, wake_ns, lengths = results
        sets = tuple(self._lists(number, lengths[group == number]) for number in (1, 2))
        return SwitchWaits(wait_ns, wake_ns, sets, leave_kinds[: len(group)] == _LEFT_ASLEEP)

    def _lists(self, group: int, lengths: np.ndarray) -> pa.ListArray:
        """One list for each switch of a group; the memory of their values becomes Arrow's."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        count = int(offsets[-1])
        address = self._native.tracker_take_sets(self._tracker, group)
        if not address:
            return pa.ListArray.from_arrays(numbers_column(offsets, pa.int32()), pa.nulls(0, pa.int32()))
        buffer = pa.foreign_buffer(address, 4 * count, base=_SetMemory(self._native, address))
        return pa.ListArray.from_arrays(
            numbers_column(offsets, pa.int32()), pa.Array.from_buffers(pa.int32(), count, [None, buffer])
        )


class _SetMemory:
    """Memory that C allocated; it is freed with the last array that uses it."""

    def __init__(self, native: Any, address: int) -> None:
        weakref.finalize(self, native.tracker_free_sets, address).atexit = False  # arrays may still be in use then


def _columns(table: pa.Table, **types: str) -> list[np.ndarray]:
    return [np.ascontiguousarray(numbers(table, name), dtype) for name, dtype in types.items()]


def _require_done(failed: int, most_values: int) -> None:
    if failed == _NO_MEMORY:
        raise MemoryError("no room to follow tasks")
    if failed:
        raise TraceError(
            f"the runnable sets of this recording hold more than {most_values} tasks together",
            expected=f"at most {most_values}",
            hint="convert it to files instead, which is done in parts; events of one time are never parted",
        )

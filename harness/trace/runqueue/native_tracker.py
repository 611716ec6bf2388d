"""What `tracker` does, in C: event by event, with a queue for each CPU."""

from __future__ import annotations

import os
import weakref
from ctypes import CDLL, POINTER, Structure, byref, c_int64, c_uint64, c_void_p

import numpy as np
import pyarrow as pa

from harness.trace.decode.gather import Array
from harness.trace.native import Signatures
from harness.trace.runqueue.waits import MAX_VALUES, EventBatch, SwitchWaits, too_many
from harness.trace.tables.columns import numbers


class _Events(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("switches", "settled_switches")),
        *((name, c_void_p) for name in ("switch_ns", "cpu", "prev", "next", "left")),
        *((name, c_int64) for name in ("wakeups", "settled_wakeups")),
        *((name, c_void_p) for name in ("wake_ns", "woken", "target")),
        *((name, c_int64) for name in ("moves", "settled_moves")),
        *((name, c_void_p) for name in ("move_ns", "moved", "dest")),
    )


class _Found(Structure):
    _fields_ = tuple((name, c_void_p) for name in ("group", "wait_ns", "woken_ns", "length"))


FUNCTIONS: Signatures = {
    "slicer_new": (c_void_p, [c_int64, c_int64, c_int64, c_uint64]),
    "slicer_free": (None, [c_void_p]),
    "slicer_waiting": (c_int64, [c_void_p]),
    "slicer_feed": (c_int64, [c_void_p, POINTER(_Events), POINTER(_Found)]),
    "slicer_take": (c_void_p, [c_void_p, c_int64]),
    "slicer_free_values": (None, [c_void_p]),
}
_NO_MEMORY = -1


class CompiledTracker:
    """As `tracker.Tracker`, with the functions of `native`."""

    def __init__(self, native: CDLL, shifted_states: bool, lookahead: int) -> None:
        self._native = native
        self._slicer = native.slicer_new(shifted_states, lookahead, MAX_VALUES, int.from_bytes(os.urandom(8), "little"))
        if not self._slicer:
            raise MemoryError("no room to follow tasks")
        weakref.finalize(self, native.slicer_free, self._slicer).atexit = False

    @property
    def waiting(self) -> int:
        """As `tracker.Tracker.waiting`."""
        return int(self._native.slicer_waiting(self._slicer))

    def feed(self, fed: EventBatch, before_ns: int | None = None) -> SwitchWaits:
        """As `tracker.Tracker.feed`."""
        group, left = np.ascontiguousarray(fed.group, np.uint8), fed.runnable.astype(np.uint8)
        tables = (
            [*_columns(fed.switches, time_ns="i8", cpu="i2", prev_tid="i4", next_tid="i4"), left],
            _columns(fed.wakeups, time_ns="i8", tid="i4", target_cpu="i2"),
            _columns(fed.moves, time_ns="i8", tid="i4", dest_cpu="i2"),
        )
        told: list[int] = []
        for columns in tables:
            times = columns[0]
            told += [len(times), len(times) if before_ns is None else int(np.searchsorted(times, before_ns))]
            told += [column.ctypes.data for column in columns]
        if (len(left), len(group)) != (told[0], told[1]):  # what is written behind their ends would not be noticed
            raise ValueError(f"{len(left)} and {len(group)} marks for {told[0]} switches, {told[1]} of them told of")
        picks = [np.empty(len(group), dtype) for dtype in (np.int64, np.int64, np.int32)]
        found = _Found(group.ctypes.data, *(column.ctypes.data for column in picks))
        self._demand(self._native.slicer_feed(self._slicer, byref(_Events(*told)), byref(found)))
        wait_ns, wake_ns, lengths = picks
        return SwitchWaits(wait_ns, wake_ns, tuple(self._lists(number, lengths[group == number]) for number in (1, 2)))

    def _demand(self, failed: int) -> None:
        if failed == _NO_MEMORY:
            raise MemoryError("no room to follow tasks")
        if failed:
            raise too_many(f"more than {MAX_VALUES}")

    def _lists(self, number: int, lengths: Array) -> pa.ListArray:
        """One list for each switch of a group; the memory of their values becomes Arrow's."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        count = int(offsets[-1])
        address = self._native.slicer_take(self._slicer, number)
        if not address:
            return pa.ListArray.from_arrays(pa.array(offsets), pa.array([], pa.int32()))
        owner = _Values(self._native, address)
        buffer = pa.foreign_buffer(address, 4 * count, base=owner)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.Array.from_buffers(pa.int32(), count, [None, buffer]))


class _Values:
    """Memory that C allocated, which is given back with the last array that uses it."""

    def __init__(self, native: CDLL, address: int) -> None:
        weakref.finalize(self, native.slicer_free_values, address).atexit = False  # arrays may still be in use then


def _columns(table: pa.Table, **types: str) -> list[Array]:
    return [np.ascontiguousarray(numbers(table, name), dtype) for name, dtype in types.items()]

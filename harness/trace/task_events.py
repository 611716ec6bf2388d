"""The events of tasks, as the rebuilding of waits sees them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from harness.trace.gather import Array

# events of one task at one time are taken in this order: what makes it runnable, what moves it, off and on a CPU
WAKE, MOVE, OUT_RUNNABLE, OUT_ASLEEP, IN, END = range(6)
NEVER = np.iinfo(np.int64).max


@dataclass
class Events:
    """Events of tasks other than the idle one. `row` is the switch, or -1; `rank` is their order in time."""

    tid: Array
    time: Array
    cpu: Array
    kind: Array
    row: Array
    rank: Array

    def only(self, chosen: Array) -> Events:
        """Those chosen by a mask or by places."""
        return Events(*(getattr(self, field.name)[chosen] for field in fields(self)))


def with_ends(events: Events) -> Events:
    """Put an END event, at the end of time, behind the last event of each task."""
    last = np.flatnonzero(np.diff(events.tid, append=events.tid[-1:] + 1)) + 1
    tid = events.tid[last - 1]
    return Events(
        np.insert(events.tid, last, tid),
        np.insert(events.time, last, NEVER),
        np.insert(events.cpu, last, -1),
        np.insert(events.kind, last, END),
        np.insert(events.row, last, -1),
        np.insert(events.rank, last, len(events.rank)),
    )


def last_before(place: Array, marked: Array) -> Array:
    """For each event the nearest marked one strictly before it, or -1."""
    found = np.where(marked, place, -1)
    return np.concatenate([[-1], np.maximum.accumulate(found)[:-1]]) if len(found) else found


def task_starts(tid: Array) -> Array:
    """For each event the first event of its task."""
    starts = np.concatenate([[True], tid[1:] != tid[:-1]]) if len(tid) else np.zeros(0, bool)
    return np.maximum.accumulate(np.where(starts, np.arange(len(tid)), 0))


def stable_order(values: Array) -> Array:
    """argsort(kind="stable") of small non-negative integers, 16 bits at a time, for which numpy sorts by radix."""
    order = np.argsort((values & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while len(values) and int(values.max()) >> shift:
        digit = (values[order] >> shift & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
        shift += 16
    return order

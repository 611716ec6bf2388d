"""The events of tasks, as the rebuilding of waits sees them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from harness.trace.decode.gather import Array

# The last four are of switches: picked; left asleep; left and waits, as it was preempted; left asleep and waits, as it
# had been woken while it ran. UNCLEAR is left asleep or preempted, which what comes next tells.
WAKE, MOVE, PICKED, ASLEEP, PREEMPTED, WOKEN, UNCLEAR = range(7)
NEVER = np.iinfo(np.int64).max


@dataclass
class Events:
    """Events of tasks other than the idle one.

    `row` is the switch that it is part of, or before which it happened. `at` counts the events of all tables.
    `rank` is the order in time, and at one time: wakeups, migrations, switches as they stand in their table.
    """

    tid: Array
    time: Array
    cpu: Array
    kind: Array
    row: Array
    at: Array
    rank: Array

    def only(self, chosen: Array) -> Events:
        """Those chosen by a mask or by places."""
        return Events(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def by_task(self) -> Events:
        """By task, and in time for each."""
        return self.only(stable_order(self.tid - min(0, int(self.tid.min(initial=0)))))


def no_events() -> Events:
    """None at all."""
    return Events(*(np.zeros(0, np.int64) for _ in fields(Events)))


def join(first: Events, second: Events) -> Events:
    """One after the other in time."""
    joined = Events(
        *(np.concatenate([getattr(part, field.name) for part in (first, second)]) for field in fields(Events))
    )
    joined.rank = np.arange(len(joined.tid))
    return joined


def task_starts(tid: Array) -> Array:
    """At which events, sorted by task, another task begins."""
    return np.concatenate([[True], tid[1:] != tid[:-1]]) if len(tid) else np.zeros(0, bool)


def next_place(marked: Array) -> Array:
    """For each event the nearest marked one at or after it, else NEVER; with one place more behind the last."""
    found = np.append(np.where(marked, np.arange(len(marked)), NEVER), NEVER)
    return np.minimum.accumulate(found[::-1])[::-1]


def stable_order(values: Array) -> Array:
    """argsort(kind="stable") of small non-negative integers, 16 bits at a time, for which numpy sorts by radix."""
    order = np.argsort((values & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while len(values) and int(values.max()) >> shift:
        digit = (values[order] >> shift & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
        shift += 16
    return order

"""Where to cut a stream of events, so that the runnable sets of a piece cannot hold too much."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from harness.trace.tables.columns import numbers


class RunnableSetBound:
    """Bounds how much the runnable sets of a stretch of events hold, before they are rebuilt.

    At a switch there wait at most: the tasks that waited when the piece began; those that were woken or left a CPU
    since, each counted once, for a task waits in one place at a time; and the one that is picked, should it not be
    known to wait. Tables are sorted by time; `times` has the times of all their events.
    """

    def __init__(self, switches: pa.Table, wakeups: pa.Table, migrations: pa.Table) -> None:
        self._switch_ns = numbers(switches, "time_ns")
        wake_ns = numbers(wakeups, "time_ns")
        self.times = np.sort(np.concatenate([self._switch_ns, wake_ns, numbers(migrations, "time_ns")]), kind="stable")
        begin_ns = np.concatenate([wake_ns, self._switch_ns])  # when a task may begin to wait
        order = np.argsort(begin_ns, kind="stable")
        self._begin_ns = begin_ns[order]
        tids = np.concatenate([numbers(wakeups, "tid"), numbers(switches, "prev_tid")])
        self._before = _place_before(tids[order].astype(np.int64))

    def fitting(self, first: int, stop: int, waiting: int, values: int) -> int:
        """Up to which event, `stop` at most, the sets from event `first` on hold `values` tasks or fewer.

        `waiting` tasks wait when the piece begins. It may be `first` itself that does not fit any more.
        """
        begun, ended = self.times[first], self.times[stop - 1]
        low, high = np.searchsorted(self._begin_ns, begun), np.searchsorted(self._begin_ns, ended, side="right")
        others = np.concatenate([[0], np.cumsum(self._before[low:high] < low)])
        place, last = np.searchsorted(self._switch_ns, begun), np.searchsorted(self._switch_ns, ended, side="right")
        switch_ns = self._switch_ns[place:last]
        seen = np.searchsorted(self._begin_ns[low:high], switch_ns, side="right")
        held = np.cumsum(waiting + others[seen] + 1)
        fit = int(np.searchsorted(held, values, side="right"))
        return stop if fit == len(held) else min(stop, int(np.searchsorted(self.times, switch_ns[fit])))


def _place_before(tids: np.ndarray) -> np.ndarray:
    """For each event the last one before it of the same task, or -1."""
    order = _stable_order(tids - min(0, int(tids.min(initial=0))))
    same = tids[order[1:]] == tids[order[:-1]]
    before = np.full(len(tids), -1)
    before[order[1:][same]] = order[:-1][same]
    return before


def _stable_order(values: np.ndarray) -> np.ndarray:
    """argsort(kind="stable") of small non-negative integers, 16 bits at a time, for which numpy sorts by radix."""
    order = np.argsort((values & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while len(values) and int(values.max()) >> shift:
        digit = (values[order] >> shift & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
        shift += 16
    return order

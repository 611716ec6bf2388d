"""How far a batch of events may reach, so that its runnable sets stay within a bound."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from harness.trace.tables.columns import numbers, previous_in_group


class RunnableSetBound:
    """Bounds the size of the runnable sets in a range of events, before the sets are rebuilt.

    At a switch, at most these tasks wait: those that waited when the range began; those that were woken or left a CPU
    since then, each counted once, because a task waits in one place at a time; and the picked task, which may not be
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
        self._previous = previous_in_group(tids[order])

    def fitting(self, first: int, stop: int, waiting: int, limit: int) -> int:
        """Return up to which event, at most `stop`, the runnable sets from event `first` on hold at most `limit` tasks.

        `waiting` tasks wait when the range begins. Returns `first` if even the first set may be too large.
        """
        begin, end = self.times[first], self.times[stop - 1]
        low, high = np.searchsorted(self._begin_ns, begin), np.searchsorted(self._begin_ns, end, side="right")
        begun_waits = np.concatenate([[0], np.cumsum(self._previous[low:high] < low)])
        low_switch = np.searchsorted(self._switch_ns, begin)
        switch_ns = self._switch_ns[low_switch : np.searchsorted(self._switch_ns, end, side="right")]
        events_before = np.searchsorted(self._begin_ns[low:high], switch_ns, side="right")
        sizes = np.cumsum(waiting + begun_waits[events_before] + 1)
        fit = int(np.searchsorted(sizes, limit, side="right"))
        return stop if fit == len(sizes) else min(stop, int(np.searchsorted(self.times, switch_ns[fit])))

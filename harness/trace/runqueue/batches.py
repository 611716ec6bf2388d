"""How far a batch of events may reach, so that its runnable sets stay within a bound."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from harness.trace.tables.columns import numbers, previous_in_group


class RunnableSetBound:
    """Bounds the size of the runnable sets in a range of events, before the sets are rebuilt.

    The bound at a switch is a sum of three numbers: the tasks that waited when the range began; the different tasks
    that were woken or left a CPU since then (a task waits in one queue at a time); and 1 for the picked task, whose
    wait may not be known. Tables are sorted by time; `times` has the times of all their events.
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

    def end_within(self, first: int, stop: int, waiting: int, limit: int) -> int:
        """Return the largest end, up to `stop`, so that the sets of events `first` to end hold `limit` tasks in sum.

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

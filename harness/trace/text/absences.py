"""How tasks came back to the CPUs after they had left them, in the rows of a text: woken or not, or not at all."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from harness.trace.sleeps import Sleeps
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tracepoint.task_state import PREEMPTED, is_runnable, true_state

_NEVER = -1


def _columns(table: str, *names: str) -> itemgetter[Any]:
    return itemgetter(*(SCHEMAS[table].names.index(name) for name in names))


_SWITCH = _columns("switches", "time_ns", "prev_tid", "prev_state", "next_tid")
_WAKEUP = _columns("wakeups", "time_ns", "tid")


class Absences:
    """Follows the tasks through rows that are released in the order of time. `sleeps` is for the end."""

    def __init__(self, shifted: bool) -> None:
        self._shifted = shifted
        self._ended = self._unwoken = 0
        self._asleep: set[int] = set()  # tasks that left asleep and were not woken since
        self._absent: set[int] = set()  # tasks that left asleep, woken or not
        self._waiting_ns: dict[int, int] = {}  # since when tasks wait that were woken or left runnable
        self._woken_ns: dict[int, int] = {}  # the last wakeup of each task

    def take(self, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
        """Take the next rows. Of one time, wakeups come first."""
        wakeups = ((time_ns, 0, tid, "", 0) for time_ns, tid in map(_WAKEUP, rows["wakeups"]))
        switches = ((time_ns, 1, prev, state, next_) for time_ns, prev, state, next_ in map(_SWITCH, rows["switches"]))
        for time_ns, is_switch, tid, state, next_tid in heapq.merge(wakeups, switches, key=itemgetter(0, 1)):
            if is_switch:
                self._leave(time_ns, tid, state or "")
                self._come(next_tid)
            else:
                self._wake(time_ns, tid)

    def sleeps(self, first_ns: int, last_ns: int) -> Sleeps:
        """Return how many sleeps ended, how many without a wakeup, and how many tasks wait for long at the end."""
        late_ns = last_ns - (last_ns - first_ns) // 10
        return Sleeps(self._ended, self._unwoken, sum(since < late_ns for since in self._waiting_ns.values()))

    def _wake(self, time_ns: int, tid: int) -> None:
        self._woken_ns[tid] = time_ns
        if tid in self._asleep:
            self._asleep.discard(tid)
            self._waiting_ns[tid] = time_ns

    def _leave(self, time_ns: int, tid: int, state: str) -> None:
        letters = true_state(state, self._shifted)
        if is_runnable(letters) and tid and not (self._shifted and state == PREEMPTED):
            self._waiting_ns[tid] = time_ns
        elif letters[:1] in ("S", "D"):
            self._absent.add(tid)
            if self._woken_ns.get(tid, _NEVER) < time_ns:  # at one time, it may have been woken after it left
                self._asleep.add(tid)

    def _come(self, tid: int) -> None:
        if tid in self._absent:
            self._ended += 1
            self._unwoken += tid in self._asleep
        self._absent.discard(tid)
        self._asleep.discard(tid)
        self._waiting_ns.pop(tid, None)

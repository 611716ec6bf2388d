"""Decides whether prev_state is as printed or shifted by one bit, from what tasks do after they leave a CPU.

Kernels 4.14 to 4.19 without mainline commit 3054426dc68e shift it, and their version does not tell: Ubuntu's
4.15.0-55 shifts, 4.15.0-58 does not. A shifted kernel prints a running task as S, S as D, D as T, Z as P, and an idle
kernel thread (I) as R+, like a preempted task. Events are taken in order of time; the first of these decides:

- A task leaves as R: as printed. A shifted kernel prints no plain R, because it sets a bit for every state.
- The idle task leaves as S: shifted. The idle task is always running when it leaves, and never preempted.
- Of the tasks that left as S, most were woken before they ran again: as printed; or hardly any, while most that left
  as D were: shifted. The tasks that leave as D sleep on both kernels, so they show whether wakeups were recorded at
  all. In ten recordings of 4.15, the share of S was above 97 % and 0 % (perf's own wakeups are not recorded); with half
  of their events taken out at random, above 60 % and below 10 %.

The last test decides at ENOUGH tasks, or at the end of the recording with FEW: a few sleeps of perf, or wakeups lost in
one gap, then cannot carry it. Otherwise the reading is undecided. The tables then follow the same shares of fewer
tasks; without any, the states are taken as printed, as all kernels that were kept up to date have the correction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from typing import Any, Protocol

from harness.errors import UsageError
from harness.trace.tracepoint.task_state import may_be_shifted

READINGS = {"shifted": True, "unshifted": False}  # what a caller may ask for
KERNEL, CALLER, LEFT_RUNNING, IDLE_TASK, WAKEUPS, NOTHING = (
    "kernel", "caller", "left running", "idle task", "wakeups", "nothing",
)  # fmt: skip
FEW, ENOUGH = 10, 1000  # tasks that left as S
_MOST, _HARDLY_ANY = 0.5, 0.2  # shares of tasks that were woken
_COLUMNS = {"wakeups": ("time_ns", "tid"), "switches": ("time_ns", "prev_tid", "next_tid", "prev_state")}


class Letters(Protocol):
    """What knows the letters of state numbers: StateNames, for a recording."""

    def letters(self, state: int) -> str:
        """Return the letters of one number."""


Events = tuple[Mapping[str, Mapping[str, Any]], Sequence[int]]  # columns by table, and the values of prev_state


@dataclass(frozen=True)
class StateReading:
    """How prev_state is read, and which test decided that.

    `shifted`: one bit lower than printed. `decided_by`: `kernel` (no kernel of this version shifts), `caller`, or what
    the tasks did: `left running`, `idle task`, `wakeups`; `nothing` if that is undecided. `contradicted_by`: the test
    that decides against the caller. The numbers cover the events up to the decision. `left`: tasks that left a CPU,
    without the idle task. `left_s`: those that left as S and were then seen woken or running; `left_s_woken`: those
    that were woken first; for D alike. `runnable`: those that were still runnable if prev_state is as printed;
    `runnable_if_shifted`: if it is shifted.
    """

    shifted: bool = False
    decided_by: str = KERNEL
    left: int = 0
    left_s: int = 0
    left_s_woken: int = 0
    left_d: int = 0
    left_d_woken: int = 0
    runnable: int = 0
    runnable_if_shifted: int = 0
    contradicted_by: str = ""

    @property
    def reason(self) -> str:
        """What decided, in words."""
        return self._outcome(self.decided_by)

    def _outcome(self, test: str) -> str:
        return {
            KERNEL: "no kernel of this version shifts it",
            CALLER: "as asked for",
            LEFT_RUNNING: "a task left as R, which a shifted kernel never prints",
            IDLE_TASK: "the idle task, which always runs when it leaves, left as S",
            WAKEUPS: self._wakeups,
            NOTHING: f"no task left as R, and {self._wakeups}",
        }[test]

    @property
    def _wakeups(self) -> str:
        return (
            f"{self.left_s_woken:,} of {self.left_s:,} tasks that left as S were woken before they ran again, "
            f"and {self.left_d_woken:,} of {self.left_d:,} that left as D"
        )

    def warning(self, os_release: str | None) -> str:
        """Return what a reader of the tables must know; empty if they are as printed, with good reason."""
        kernel = f"kernel {os_release}" if os_release else "the kernel, whose version is not recorded,"
        if self.contradicted_by:
            asked = next(name for name, shifted in READINGS.items() if shifted is self.shifted)
            return f"prev_state is read as {asked}, as asked for, but {self._outcome(self.contradicted_by)}"
        if self.decided_by == NOTHING and self.left:
            printed, shifted = (f"{100 * n / self.left:.0f} %" for n in (self.runnable, self.runnable_if_shifted))
            return (
                f"UNDECIDED whether {kernel} reports prev_state one bit too high (R as S, S as D): {self.reason}. "
                f"As printed, {printed} of the tasks that left a CPU were still runnable, if shifted, {shifted}. "
                f"The tables take it as {'shifted' if self.shifted else 'printed'}; if you know better, say so with "
                "--states shifted or --states unshifted"
            )
        if self.shifted:
            return (
                f"{kernel} reports prev_state one bit too high (R as S, S as D): {self.reason}; "
                "switches keep it as recorded, slices set it right"
            )
        return ""


def check_states(states: str | None) -> None:
    """Raise UsageError if this is no reading that a caller may ask for."""
    if states is not None and states not in READINGS:
        raise UsageError(f"unknown reading of states {states!r}", where="--states", expected=" or ".join(READINGS))


def decide(names: Letters | None, os_release: str | None, states: str | None, events: Iterable[Events]) -> StateReading:
    """Return how to read the states of a recording: as the caller says in `states`, or else as its events show.

    `events` are taken only as far as needed, and not at all if no kernel of this version shifts states and the caller
    says nothing. Each item is sorted by time and wholly after the one before.
    """
    check_states(states)
    if names is None or not (states or may_be_shifted(os_release)):
        return StateReading()
    reading = _judge(names, events)
    return _as_asked(reading, READINGS[states]) if states else reading


def _as_asked(reading: StateReading, shifted: bool) -> StateReading:
    agrees = reading.decided_by == NOTHING or reading.shifted == shifted
    against = "" if agrees else reading.decided_by
    return replace(reading, shifted=shifted, decided_by=CALLER, contradicted_by=against)


def _judge(names: Letters, events: Iterable[Events]) -> StateReading:
    tasks = _Follower(names)
    for tables, values in events:
        if tasks.take(tables, values):
            break
    return tasks.reading()


class _Follower:
    """Follows each task from the moment it leaves a CPU until it is woken or runs."""

    def __init__(self, names: Letters) -> None:
        self._names, self._decided_by = names, NOTHING
        self._left = Counter[str]()  # tasks that left, by letters
        self._woken, self._picked = Counter[str](), Counter[str]()  # those of them that were woken, or picked, next
        self._waiting_for: dict[int, str] = {}  # the letters of each task that was not seen since it left
        self._woken_early: set[int] = set()  # tasks woken since they last left or got a CPU: theirs shows nothing

    def take(self, tables: Mapping[str, Mapping[str, Any]], values: Sequence[int]) -> bool:
        """Take more events; return whether they decide, so that no more are needed."""
        letters = [self._names.letters(value) for value in values]
        for _, tid, next_tid, state in _in_time_order(tables):
            if state is None:
                self._wake(tid)
                continue
            self._leave(tid, letters[state])
            self._pick(next_tid)
            if self._decided_by != NOTHING or self._by_wakeups(ENOUGH) is not None:
                return True
        return False

    def reading(self) -> StateReading:
        """Return the reading, after the last event or the one that decided."""
        undecided = self._decided_by == NOTHING
        decided, likely = (self._by_wakeups(least) if undecided else None for least in (FEW, 1))
        left, woken, picked = self._left, self._woken, self._picked
        return StateReading(
            shifted=likely or self._decided_by == IDLE_TASK,
            decided_by=self._decided_by if decided is None else WAKEUPS,
            left=left.total(),
            left_s=woken["S"] + picked["S"],
            left_s_woken=woken["S"],
            left_d=woken["D"] + picked["D"],
            left_d_woken=woken["D"],
            runnable=left["R"] + left["R+"],
            runnable_if_shifted=left["S"] + left["R+"] - woken["R+"],
        )

    def _wake(self, tid: int) -> None:
        if tid in self._waiting_for:
            self._woken[self._waiting_for.pop(tid)] += 1
        else:
            self._woken_early.add(tid)

    def _leave(self, tid: int, letters: str) -> None:
        self._waiting_for.pop(tid, None)  # of this task's run, the begin was lost
        if letters == "R":
            self._decided_by = LEFT_RUNNING
        if tid == 0:
            self._decided_by = IDLE_TASK if letters == "S" else self._decided_by
            return
        self._left[letters] += 1
        if tid not in self._woken_early:
            self._waiting_for[tid] = letters
        self._woken_early.discard(tid)

    def _pick(self, tid: int) -> None:
        self._woken_early.discard(tid)
        if tid in self._waiting_for:
            self._picked[self._waiting_for.pop(tid)] += 1

    def _by_wakeups(self, least: int) -> bool | None:
        """Whether the states are shifted, as at least so many tasks show that left as S; None if they do not."""
        sleepers, share = self._woken["S"] + self._picked["S"], self._share_woken("S")
        if sleepers < least or _HARDLY_ANY < share < _MOST:
            return None
        if share >= _MOST:
            return False
        checked = self._woken["D"] + self._picked["D"] >= min(least, FEW) and self._share_woken("D") >= _MOST
        return True if checked else None

    def _share_woken(self, letters: str) -> float:
        return self._woken[letters] / max(1, self._woken[letters] + self._picked[letters])


def _in_time_order(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield time, tid, and of switches next tid and state; at one time wakeups come first."""
    wakeups, switches = (_rows(tables.get(name), columns) for name, columns in _COLUMNS.items())
    woken = ((time, tid, 0, None) for time, tid in wakeups)
    return merge(woken, switches, key=lambda event: event[0])


def _rows(table: Mapping[str, Any] | None, columns: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    return zip(*(table[name] for name in columns), strict=True) if table else iter(())

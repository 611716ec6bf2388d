"""What a replay knows of each task that could be picked, as numbers that a learner can be given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.data.streams import Segment, Stream
from model.replay.events import FORK, WAKEUP, Events, still_runnable
from model.replay.names import Names
from model.replay.ranking import Ranking
from model.replay.threads import REAL_TIME, is_kernel_thread

# Of a task and of the entity of the top queue that it belongs to; virtual microseconds from the queue's average (EEVDF)
# or minimum (CFS). `own_favoured`: eligible, or the buddy of its queue.
STATE = (
    *("own_behind_us", "own_deadline_us", "own_favoured"),
    *("top_behind_us", "top_deadline_us", "top_eligible", "top_buddy"),
    *("in_group", "lag_us"),
)
UNSEEN = (0.0,) * len(STATE)  # of a task that the replay knows nothing of
ABOUT = ("rank", "candidates", "last_mark", "just_left", "mark", "kernel_thread", "real_time", "waited_us", "woken")
FEATURES = (*ABOUT, *STATE, *(f"{name}_beyond_first" for name in ("waited_us", "woken", *STATE)))


class Replay(Protocol):
    """A scheduler that walks along a recording."""

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """For each event from `start` on, the runnable tids, the likeliest first."""

    def describe(self, tid: int) -> tuple[float, ...]:
        """STATE of a runnable task, asked between two rankings."""


@dataclass(frozen=True)
class Candidates:
    """For n events the runnable tasks as the replay orders them, flat: event i's are at[i]..at[i+1]."""

    ranking: Ranking
    rows: np.ndarray  # (m, FEATURES) float32

    @classmethod
    def of(cls, segment: Segment, events: Events, names: Names, replay: Replay) -> Candidates:
        """Walk up to the segment's end, and look at every event in it."""
        stream, waiting = segment.stream, _Waiting(segment.stream, events)
        tids, marks, rows, at = [], [], [], [0]
        for event, ranking in enumerate(replay.rankings(events, segment.start), segment.start):
            waiting.until(event)
            called = _marks(stream, event)
            about = [_about(tid, called[tid], names, waiting, replay) for tid in ranking]
            rows += _rows(about, int(stream.tid[event - 1]) if event else -1, ranking, stream, event)
            tids += ranking
            marks += [called[tid] for tid in ranking]
            at.append(len(tids))
        ranked = Ranking(np.array(marks, np.int64), np.array(tids, np.int64), np.array(at, np.int64))
        return cls(ranked, np.array(rows, np.float32).reshape(-1, len(FEATURES)))


def _marks(stream: Stream, event: int) -> dict[int, int]:
    part = slice(stream.runnable_at[event], stream.runnable_at[event + 1])
    return dict(zip(stream.runnable_tid[part].tolist(), stream.runnable_mark[part].tolist(), strict=True))


def _about(tid: int, mark: int, names: Names, waiting: _Waiting, replay: Replay) -> tuple[float, ...]:
    kernel, urgent = is_kernel_thread(names.at(tid, waiting.now_ns)), waiting.prio.get(tid, 120) < REAL_TIME
    return (float(mark), float(kernel), float(urgent), *waiting.of(tid), *replay.describe(tid))


def _rows(
    about: list[tuple[float, ...]], last: int, tids: list[int], stream: Stream, event: int
) -> list[tuple[float, ...]]:
    last_mark, rows = float(stream.mark[event - 1]) if event else -1.0, []
    for rank, mine in enumerate(about):
        beyond = [value - first for value, first in zip(mine[3:], about[0][3:], strict=True)]
        place = (float(rank), float(len(tids)), last_mark, float(tids[rank] == last))
        rows.append((*place, *mine, *beyond))
    return rows


class _Waiting:
    """Since when each task has been ready to run, and whether it woke or had been preempted."""

    def __init__(self, stream: Stream, events: Events) -> None:
        chosen = (events.kind == WAKEUP) | (events.kind == FORK)
        columns = (events.time_ns, events.tid, events.prio)
        self._wakeups = list(zip(*(column[chosen].tolist() for column in columns), strict=True))
        self._next, self._event, self.stream = 0, 0, stream
        self.now_ns = 0
        self._since: dict[int, tuple[int, bool]] = {}
        self.prio: dict[int, int] = {}

    def until(self, event: int) -> None:
        """Take in what happened up to the switch that begins `event`."""
        for past in range(self._event, event + 1):
            self.now_ns = int(self.stream.start_ns[past])
            self._wake_until(self.now_ns)
            if past and still_runnable(self.stream, past - 1):
                self._since[int(self.stream.tid[past - 1])] = (self.now_ns, False)
        self._event = event + 1

    def of(self, tid: int) -> tuple[float, float]:
        """Microseconds waited, and 1.0 if the task woke."""
        since_ns, woken = self._since.get(tid, (self.now_ns, False))
        return (self.now_ns - since_ns) / 1e3, float(woken)

    def _wake_until(self, end_ns: int) -> None:
        while self._next < len(self._wakeups) and self._wakeups[self._next][0] <= end_ns:
            time_ns, tid, prio = self._wakeups[self._next]
            self._since[tid], self.prio[tid] = (time_ns, True), prio
            self._next += 1

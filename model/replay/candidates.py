"""Features of each runnable task at a switch, from a replay and the trace, for a learner to choose among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.data.streams import Segment, Stream
from model.replay.entities import DEFAULT_PRIO, MAX_RT_PRIO, is_kernel_thread
from model.replay.events import FORK, WAKING, Events, still_runnable, with_wakings
from model.replay.names import ThreadNames
from model.replay.ranking import Ranking

# State of a task (own) and of the entity of the root queue that holds it (top); virtual microseconds after the queue's
# V (EEVDF) or min_vruntime (CFS). `own_favoured`: eligible (EEVDF), or the buddy of its queue (CFS).
STATE = (
    *("own_behind_us", "own_deadline_us", "own_favoured"),
    *("top_behind_us", "top_deadline_us", "top_eligible", "top_buddy"),
    *("in_group", "lag_us"),
)
UNKNOWN_STATE = (0.0,) * len(STATE)  # of a task that the replay does not have on a queue
BASIC = ("rank", "candidates", "last_mark", "just_left", "mark", "kernel_thread", "real_time", "waited_us", "woken")
# `*_beyond_first`: the difference to the candidate that the replay ranks first.
FEATURES = (*BASIC, *STATE, *(f"{name}_beyond_first" for name in ("waited_us", "woken", *STATE)))


class Replay(Protocol):
    """A scheduler that is driven with a recording."""

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """Yield for each event from `start` on the runnable tids, the likeliest first."""

    def describe(self, tid: int) -> tuple[float, ...]:
        """Return the STATE of a runnable task at the switch that was ranked last."""


@dataclass(frozen=True)
class Candidates:
    """The runnable tasks of n events as a replay ranks them, and a row of features for each task."""

    ranking: Ranking
    rows: np.ndarray  # (m, FEATURES) float32

    @classmethod
    def collect(cls, segment: Segment, events: Events, names: ThreadNames, replay: Replay) -> Candidates:
        """Replay up to the segment's end, and describe the runnable tasks of each of its events."""
        stream, waits = segment.stream, _Waits(segment.stream, events)
        tids, marks, rows, offsets = [], [], [], [0]
        for event, ranking in enumerate(replay.rankings(events, segment.start), segment.start):
            waits.advance(event)
            mark_of = _runnable_marks(stream, event)
            own = [_own_features(tid, mark_of[tid], names, waits, replay) for tid in ranking]
            rows += _rows(own, int(stream.tid[event - 1]) if event else -1, ranking, stream, event)
            tids += ranking
            marks += [mark_of[tid] for tid in ranking]
            offsets.append(len(tids))
        ranked = Ranking(np.array(marks, np.int64), np.array(tids, np.int64), np.array(offsets, np.int64))
        return cls(ranked, np.array(rows, np.float32).reshape(-1, len(FEATURES)))


def _runnable_marks(stream: Stream, event: int) -> dict[int, int]:
    part = slice(stream.runnable_at[event], stream.runnable_at[event + 1])
    return dict(zip(stream.runnable_tid[part].tolist(), stream.runnable_mark[part].tolist(), strict=True))


def _own_features(tid: int, mark: int, names: ThreadNames, waits: _Waits, replay: Replay) -> tuple[float, ...]:
    """Return the features `mark` to `woken` of BASIC, and STATE."""
    kernel = is_kernel_thread(names.name_at(tid, waits.now_ns))
    real_time = waits.prio.get(tid, DEFAULT_PRIO) < MAX_RT_PRIO
    return (float(mark), float(kernel), float(real_time), *waits.wait_of(tid), *replay.describe(tid))


def _rows(
    own: list[tuple[float, ...]], last_tid: int, tids: list[int], stream: Stream, event: int
) -> list[tuple[float, ...]]:
    last_mark, rows = float(stream.mark[event - 1]) if event else -1.0, []
    for rank, features in enumerate(own):
        beyond = [value - first for value, first in zip(features[3:], own[0][3:], strict=True)]
        position = (float(rank), float(len(tids)), last_mark, float(tids[rank] == last_tid))
        rows.append((*position, *features, *beyond))
    return rows


class _Waits:
    """Since when each task has been ready to run, and whether it woke or had been preempted."""

    def __init__(self, stream: Stream, events: Events) -> None:
        events = with_wakings(events)
        wakeups = (events.kind == WAKING) | (events.kind == FORK)
        columns = (events.time_ns, events.tid, events.prio)
        self._wakeups = list(zip(*(column[wakeups].tolist() for column in columns), strict=True))
        self._next_wakeup, self._next_event, self.stream = 0, 0, stream
        self.now_ns = 0
        self._since: dict[int, tuple[int, bool]] = {}
        self.prio: dict[int, int] = {}

    def advance(self, event: int) -> None:
        """Advance to the switch that begins `event`."""
        for past in range(self._next_event, event + 1):
            self.now_ns = int(self.stream.start_ns[past])
            self._advance_wakeups(self.now_ns)
            if past and still_runnable(self.stream, past - 1):
                self._since[int(self.stream.tid[past - 1])] = (self.now_ns, False)
        self._next_event = event + 1

    def wait_of(self, tid: int) -> tuple[float, float]:
        """Return the microseconds waited, and 1.0 if the task woke, 0.0 if it had been preempted."""
        since_ns, woken = self._since.get(tid, (self.now_ns, False))
        return (self.now_ns - since_ns) / 1e3, float(woken)

    def _advance_wakeups(self, end_ns: int) -> None:
        while self._next_wakeup < len(self._wakeups) and self._wakeups[self._next_wakeup][0] <= end_ns:
            time_ns, tid, prio = self._wakeups[self._next_wakeup]
            self._since[tid], self.prio[tid] = (time_ns, True), prio
            self._next_wakeup += 1

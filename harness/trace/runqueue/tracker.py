"""Follows tasks through a stream of events that comes in blocks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from harness.trace.decode.gather import Array
from harness.trace.native import functions
from harness.trace.runqueue.native_tracker import FUNCTIONS, CompiledTracker
from harness.trace.runqueue.task_events import (
    ASLEEP,
    MOVE,
    NEVER,
    PICKED,
    PREEMPTED,
    UNCLEAR,
    WAKE,
    WOKEN,
    Events,
    join,
    next_place,
    no_events,
    task_starts,
)
from harness.trace.runqueue.waits import EventBatch, SwitchWaits, waits_of
from harness.trace.tables.columns import numbers

LOOKAHEAD = 30_000  # switches, wakeups and migrations of the recording, all CPUs together


def new_tracker(shifted_states: bool = False, lookahead: int = LOOKAHEAD) -> Tracker | CompiledTracker:
    """The compiled one where that can be had; both find the same."""
    native = functions(FUNCTIONS)
    return CompiledTracker(native, shifted_states, lookahead) if native else Tracker(shifted_states, lookahead)


class Tracker:
    """Follows tasks through a stream of events, block by block. The rules are those of `slicing`."""

    def __init__(self, shifted_states: bool = False, lookahead: int = LOOKAHEAD) -> None:
        self._shifted, self._lookahead = shifted_states, lookahead
        self._carried = no_events()

    @property
    def waiting(self) -> int:
        """No more tasks than these wait at the end of what was fed."""
        return len(np.unique(self._carried.tid[self._carried.kind != MOVE]))

    def feed(self, fed: EventBatch, before_ns: int | None = None) -> SwitchWaits:
        """What is known of the switches before `before_ns` (None: of all). What is behind it will be given again.

        `fed.group` is of the switches before `before_ns`. Behind that there must be as many events as are looked ahead,
        or the end of the stream.
        """
        group, left = fed.group, np.where(fed.runnable, UNCLEAR if self._shifted else PREEMPTED, ASLEEP)
        events = join(self._carried, _in_time(fed.switches, left, fed.wakeups, fed.moves)).by_task()
        _settle(events, self._lookahead)
        if before_ns is not None:
            events = events.only(events.time < before_ns)
        self._carried = _still_waiting(events)
        waits = waits_of(events, len(group))
        if not group.any():
            return SwitchWaits(waits.wait_ns, waits.wake_ns, (_no_lists(), _no_lists()))
        switches = fed.switches.slice(0, len(group))
        wanted = [np.flatnonzero(group == number) for number in (1, 2)]
        sets = waits.sets(numbers(switches, "cpu"), numbers(switches, "next_tid"), wanted)
        return SwitchWaits(waits.wait_ns, waits.wake_ns, sets)


def _no_lists() -> pa.ListArray:
    return pa.array([], pa.list_(pa.int32()))


def _in_time(switches: pa.Table, left: Array, wakeups: pa.Table, moves: pa.Table) -> Events:
    """In the order of time, without the idle tasks."""
    time, cpu = numbers(switches, "time_ns"), numbers(switches, "cpu")
    tids = np.stack([numbers(switches, "prev_tid"), numbers(switches, "next_tid")], axis=1).reshape(-1)
    kinds = np.stack([left, np.full(len(left), PICKED)], axis=1).reshape(-1)
    whole = Events(
        np.concatenate([numbers(wakeups, "tid"), numbers(moves, "tid"), tids]).astype(np.int64),
        np.concatenate([numbers(wakeups, "time_ns"), numbers(moves, "time_ns"), np.repeat(time, 2)]),
        np.concatenate([numbers(wakeups, "target_cpu"), numbers(moves, "dest_cpu"), np.repeat(cpu, 2)]).astype(
            np.int64
        ),
        np.concatenate([np.full(wakeups.num_rows, WAKE), np.full(moves.num_rows, MOVE), kinds]),
        *[np.zeros(0, np.int64)] * 3,
    )
    order = np.argsort(whole.time, kind="stable")
    kind = whole.kind[order]
    picks = np.cumsum(kind == PICKED)
    whole.row, whole.at, whole.rank = (np.empty(len(order), np.int64) for _ in range(3))
    whole.row[order] = picks - (kind == PICKED)
    whole.at[order] = np.cumsum(kind != PICKED)
    return whole.only(order[whole.tid[order] != 0])


def _settle(events: Events, lookahead: int) -> None:
    """Tell of each task that left the CPU, and may have been asleep or not, which it was. Events are by task."""
    kind = events.kind
    switched = task_starts(events.tid) | (kind >= PICKED)
    place = np.arange(len(kind))
    since = np.concatenate([[0], np.maximum.accumulate(np.where(switched, place, 0))[:-1]]) if len(kind) else place
    since = np.where(task_starts(events.tid), place, since)
    wakes = np.concatenate([[0], np.cumsum(kind == WAKE)])
    woken = (kind == ASLEEP) & (wakes[:-1] > wakes[since])
    unclear = np.flatnonzero(woken | (kind == UNCLEAR))
    following = np.minimum(next_place(kind != MOVE)[unclear + 1], len(kind) - 1)
    picked = (following > unclear) & (events.tid[following] == events.tid[unclear]) & (kind[following] == PICKED)
    picked &= events.at[following] - events.at[unclear] <= lookahead
    waits = np.where(kind[unclear] == UNCLEAR, PREEMPTED, WOKEN)
    kind[unclear] = np.where(picked, waits, ASLEEP)


def _still_waiting(events: Events) -> Events:
    """What must be known of the past for the blocks to come, in the order of time: why and where each task waits.

    That is, of what happened since its last switch, the first wakeup and the last migration.
    """
    kind, starts = events.kind, task_starts(events.tid)
    place = np.arange(len(kind))
    ends = np.flatnonzero(np.append(starts[1:], True)) if len(kind) else place
    of = np.cumsum(starts) - 1
    since = np.maximum.accumulate(np.where(starts | (kind >= PICKED), place, 0)) if len(kind) else place
    recent = place >= since[ends][of]
    wakes = np.concatenate([[0], np.cumsum(kind == WAKE)])
    first_wake = (kind == WAKE) & (wakes[:-1] == wakes[since[ends]][of])
    moves = np.concatenate([[0], np.cumsum(kind == MOVE)])
    last_move = (kind == MOVE) & (moves[1:] == moves[ends + 1][of])
    kept = recent & (first_wake | last_move | (kind == PREEMPTED) | (kind == WOKEN))
    found = events.only(kept)
    found.row[:], found.at[:] = 0, -NEVER // 2
    return found.only(np.argsort(found.rank))

"""Follows tasks through a stream of events that comes in blocks."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pyarrow as pa

from harness.trace.columns import numbers
from harness.trace.gather import Array
from harness.trace.task_events import (
    IN,
    MOVE,
    OUT_ASLEEP,
    OUT_RUNNABLE,
    WAKE,
    Events,
    last_before,
    stable_order,
    task_starts,
    with_ends,
)
from harness.trace.waits import Waits, waits_of


class Tracker:
    """Follows tasks through a stream of events, block by block."""

    def __init__(self, shifted_states: bool = False) -> None:
        self._shifted = shifted_states
        self._carried = _empty()

    def feed(
        self,
        switches: pa.Table,
        runnable: Array,
        wakeups: pa.Table,
        moves: pa.Table,
        ahead: tuple[pa.Table, pa.Table, Array] | None = None,
    ) -> Waits:
        """The waits of a block. `runnable`: at which switches the task that left still wanted the CPU.

        `ahead` are the switches and wakeups of the next block, and the same for its switches.
        """
        block = _in_time(_events(switches, runnable, wakeups, moves))
        seen = _join([self._carried, block])
        coming = _firsts(_in_time(_events(ahead[0], ahead[2], ahead[1], moves.slice(0, 0)))) if ahead else _empty()
        events = _join([seen, coming])
        waits = waits_of(with_ends(_by_task(events)), switches.num_rows, self._shifted)
        self._carried = _unsettled(_by_task(seen))
        return waits


def _empty() -> Events:
    return Events(*(np.zeros(0, np.int64) for _ in fields(Events)))


def _events(switches: pa.Table, runnable: Array, wakeups: pa.Table, moves: pa.Table) -> Events:
    time, cpu, rows = numbers(switches, "time_ns"), numbers(switches, "cpu"), np.arange(switches.num_rows)
    none = np.full(wakeups.num_rows + moves.num_rows, -1)
    kinds = np.concatenate(
        [
            np.full(wakeups.num_rows, WAKE),
            np.full(moves.num_rows, MOVE),
            np.where(runnable, OUT_RUNNABLE, OUT_ASLEEP),
            np.full(len(time), IN),
        ]
    )
    tids = [
        numbers(wakeups, "tid"),
        numbers(moves, "tid"),
        numbers(switches, "prev_tid"),
        numbers(switches, "next_tid"),
    ]
    times = np.concatenate([numbers(wakeups, "time_ns"), numbers(moves, "time_ns"), time, time])
    cpus = np.concatenate([numbers(wakeups, "target_cpu"), numbers(moves, "dest_cpu"), cpu, cpu])
    tid, row = np.concatenate(tids).astype(np.int64), np.concatenate([none, rows, rows])
    return Events(tid, times, cpus, kinds, row, np.zeros(0, np.int64))


def _in_time(events: Events) -> Events:
    """In the order of time, without the idle tasks."""
    order = np.argsort(events.time, kind="stable")
    order = order[events.tid[order] != 0]
    events.rank = np.zeros(len(events.tid), np.int64)
    return events.only(order)


def _join(parts: list[Events]) -> Events:
    """One after the other in time; `rank` says so."""
    joined = Events(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Events)))
    joined.rank = np.arange(len(joined.tid))
    return joined


def _by_task(events: Events) -> Events:
    """By task, and in time for each."""
    return events.only(stable_order(events.tid - min(0, int(events.tid.min(initial=0)))))


def _firsts(events: Events) -> Events:
    """The first event of each task, none of them a switch of this block."""
    _, places = np.unique(events.tid, return_index=True)
    found = events.only(np.sort(places))
    found.row = np.full(len(found.row), -1)
    return found


def _unsettled(events: Events) -> Events:
    """What must be known of the past for the blocks to come, in the order of time.

    That is, of each task that is not simply asleep: what happened since the switch before its last one, with no more
    than the first wakeup after each switch.
    """
    place, starts = np.arange(len(events.tid)), task_starts(events.tid)
    switched = events.kind >= OUT_RUNNABLE
    before = np.maximum(last_before(place, switched), starts - 1)  # the switch before an event, of the same task
    ends = np.flatnonzero(np.append(events.tid[1:] != events.tid[:-1], True)) if len(place) else place
    of = np.cumsum(place == starts) - 1  # the number of each event's task
    last = np.where(switched[ends], ends, before[ends])
    since = np.where(last >= starts[ends], before[np.maximum(last, 0)], starts[ends] - 1)
    wakes = np.concatenate([[0], np.cumsum(events.kind == WAKE)])
    recent = (place >= since[of]) & (place >= starts)
    first_wake = wakes[place] == wakes[before + 1]
    asleep = (last >= starts[ends]) & (events.kind[last] == OUT_ASLEEP)
    woken = wakes[ends + 1] > wakes[np.maximum(since, starts[ends])]
    kept = recent & ((events.kind != WAKE) | first_wake) & ~(asleep & ~woken)[of]
    found = events.only(kept)
    found.row = np.full(len(found.row), -1)
    return found.only(np.argsort(found.rank))

"""When each task waited for a CPU, and which tasks waited at each switch. The rules are those of `slicing`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.trace.gather import Array
from harness.trace.task_events import (
    END,
    IN,
    MOVE,
    NEVER,
    OUT_ASLEEP,
    OUT_RUNNABLE,
    WAKE,
    Events,
    last_before,
    stable_order,
    task_starts,
)

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Waits:
    """Stretches of waiting on one CPU: task, CPU, begin and end (ns), and the rank of the begin among all events.

    `begin_row` is the switch with which it began, `pick` the one that ended it by picking the task there; -1 where
    there is none. Per switch: `wait_ns` is when the picked task began to wait, `wake_ns` when it was woken, or -1.
    """

    tid: Array
    cpu: Array
    begin_ns: Array
    begin_rank: Array
    begin_row: Array
    end_ns: Array
    pick: Array
    wait_ns: Array
    wake_ns: Array

    def sets(self, cpu: Array, time: Array, tid: Array, order: Array) -> tuple[Array, Array]:
        """The runnable tasks at every switch, one after the other, and where each switch's begin (n + 1 offsets).

        The switches are taken by (CPU, time), which `order` is.
        """
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        first, stop = self._spans(cpu, time, order, place)
        alone = np.ones(len(order), bool)
        alone[self.pick[(self.pick >= 0) & (first < stop)]] = False
        alone_rows = np.flatnonzero(alone)
        by_rank = stable_order(self.begin_rank)
        tids = np.concatenate([self.tid[by_rank], tid[alone_rows]]).astype(np.int32)
        first = np.concatenate([first[by_rank], place[alone_rows]])
        stop = np.concatenate([stop[by_rank], place[alone_rows] + 1])
        return _expand(tids, first, stop, len(order))

    def _spans(self, cpu: Array, time: Array, order: Array, place: Array) -> tuple[Array, Array]:
        """Each wait as a range of places in `order`: the switches on its CPU during which it lasted."""
        first, stop = np.zeros(len(self.tid), np.int64), np.zeros(len(self.tid), np.int64)
        ordered_cpu, ordered_time = cpu[order], time[order]
        for number in np.unique(self.cpu):
            low, high = np.searchsorted(ordered_cpu, [number, number + 1])
            here = np.flatnonzero(self.cpu == number)
            times = ordered_time[low:high]
            first[here] = low + np.searchsorted(times, self.begin_ns[here])
            stop[here] = low + np.searchsorted(times, self.end_ns[here])
        left = self.begin_row >= 0
        first[left] = place[self.begin_row[left]]
        picked = self.pick >= 0
        stop[picked] = place[self.pick[picked]] + 1
        return first, np.maximum(first, stop)


def _expand(tids: Array, first: Array, stop: Array, places: int) -> tuple[Array, Array]:
    """Lists per place from ranges of places, given in the order in which they shall stand in a list.

    Done 65,536 places at a time: numpy sorts numbers of 16 bits by radix, and what is sorted stays in the cache.
    """
    groups = stable_order(first >> 16)
    blocks = range((places + _BLOCK - 1) // _BLOCK)
    bounds = np.searchsorted((first >> 16)[groups], np.arange(len(blocks) + 1))
    values, counts = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    chosen = np.zeros(0, np.int64)
    for block in blocks:
        low, high = block * _BLOCK, min((block + 1) * _BLOCK, places)
        chosen = np.sort(np.concatenate([chosen, groups[bounds[block] : bounds[block + 1]]]))
        begin, end = np.maximum(first[chosen], low) - low, np.minimum(stop[chosen], high) - low
        lengths = end - begin
        starts = np.cumsum(lengths) - lengths
        local = (np.arange(int(lengths.sum())) - np.repeat(starts - begin, lengths)).astype(np.uint16)
        values.append(np.repeat(tids[chosen], lengths)[np.argsort(local, kind="stable")])
        counts.append(np.bincount(local, minlength=high - low))
        chosen = chosen[stop[chosen] > high]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return np.concatenate(values), offsets


def waits_of(events: Events, switches: int, shifted_states: bool) -> Waits:
    """The waits in these events, which are by task and time, each task's closed by an END.

    `switches` is how many switches there are in the block that the rows of the events are counted in.
    """
    kind, place = events.kind, np.arange(len(events.kind))
    anchor = last_before(place, kind >= OUT_RUNNABLE)
    closing = np.flatnonzero((kind == IN) | (kind == END))
    before = anchor[closing]
    anchored = (before >= 0) & (kind[np.maximum(before, 0)] != END)
    first_wake = _next(place, kind == WAKE)[np.where(anchored, before + 1, task_starts(events.tid)[closing])]
    begin = _begins(kind, closing, before, anchored, first_wake, anchor, shifted_states)
    picked = (begin >= 0) & (events.row[closing] >= 0)
    woken = picked & (kind[np.maximum(begin, 0)] != OUT_RUNNABLE)
    waits, wakes = np.full(switches, -1, np.int64), np.full(switches, -1, np.int64)
    waits[events.row[closing[picked]]] = events.time[begin[picked]]
    wakes[events.row[closing[woken]]] = events.time[begin[woken]]
    return _stretches(events, closing[begin >= 0], begin[begin >= 0], waits, wakes)


def _begins(
    kind: Array,
    closing: Array,
    before: Array,
    anchored: Array,
    first_wake: Array,
    anchor: Array,
    shifted_states: bool,
) -> Array:
    """The event with which each wait that ends at `closing` began, or -1 where that is not known."""
    anchor_kind = np.where(anchored, kind[np.maximum(before, 0)], IN)
    woken = first_wake < closing
    ends = kind[closing] == END
    begin = np.where(woken & ~(ends & anchored & (anchor_kind == IN)), first_wake, -1)
    left = anchor_kind == OUT_RUNNABLE
    if shifted_states:  # these kernels show a sleeping idle thread (state I) as preempted: R+ and then woken is asleep
        left &= ~woken & ~ends
    begin[left] = before[left]
    begin[woken_while_leaving(kind, before, anchor, (anchor_kind == OUT_ASLEEP) & ~woken & ~ends)] = -2
    return np.where(begin == -2, before, begin)


def woken_while_leaving(kind: Array, before: Array, anchor: Array, candidates: Array) -> Array:
    """Waits after going to sleep, without a wakeup of their own: those with one while the task was still running."""
    chosen = np.flatnonzero(candidates)
    asleep = before[chosen]
    wakes = np.concatenate([[0], np.cumsum(kind == WAKE)])
    since = np.maximum(anchor[asleep], 0)
    return chosen[wakes[asleep] > wakes[since]]


def _stretches(events: Events, closing: Array, begin: Array, waits: Array, wakes: Array) -> Waits:
    """Cut each wait where the task is moved."""
    owner = np.full(len(events.kind), -1)
    owner[begin] = np.arange(len(begin))
    owner = np.maximum.accumulate(owner) if len(owner) else owner
    moves = np.flatnonzero(events.kind == MOVE)
    held = owner[moves]
    inside = (held >= 0) & (moves < closing[np.maximum(held, 0)]) if len(begin) else np.zeros(len(moves), bool)
    points = np.sort(np.concatenate([begin, moves[inside]]))
    last = np.append(points[1:], len(events.kind))
    stop = np.minimum(last, closing[owner[points]]) if len(points) else points
    ends_here = stop == closing[owner[points]] if len(points) else np.zeros(0, bool)
    same_cpu = events.cpu[points] == events.cpu[stop]
    picked = ends_here & same_cpu & (events.kind[stop] == IN)
    return Waits(
        tid=events.tid[points],
        cpu=events.cpu[points],
        begin_ns=events.time[points],
        begin_rank=events.rank[points],
        begin_row=events.row[points],
        end_ns=events.time[stop],
        pick=np.where(picked, events.row[stop], -1),
        wait_ns=waits,
        wake_ns=wakes,
    )


def _next(place: Array, marked: Array) -> Array:
    """For each event the nearest marked one at or after it; one place more is kept for what lies behind the last."""
    found = np.append(np.where(marked, place, NEVER), NEVER)
    return np.minimum.accumulate(found[::-1])[::-1]

"""When each task waited for a CPU, and which tasks waited at each switch. The rules are those of `slicing`."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from harness.trace.columns import numbers
from harness.trace.gather import Array

# events of one task at one time are taken in this order: what makes it runnable, what moves it, off and on a CPU
WAKE, MOVE, OUT_RUNNABLE, OUT_ASLEEP, IN, END = range(6)
_BLOCK = 1 << 16
_NEVER = np.iinfo(np.int64).max


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


def stable_order(values: Array) -> Array:
    """argsort(kind="stable") of small non-negative integers, 16 bits at a time, for which numpy sorts by radix."""
    order = np.argsort((values & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while len(values) and int(values.max()) >> shift:
        digit = (values[order] >> shift & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
        shift += 16
    return order


@dataclass
class _Events:
    """Events of tasks other than the idle one. `row` is the switch, or -1; `rank` is their order in time."""

    tid: Array
    time: Array
    cpu: Array
    kind: Array
    row: Array
    rank: Array

    def only(self, chosen: Array) -> _Events:
        """Those chosen by a mask or by places."""
        return _Events(*(getattr(self, field.name)[chosen] for field in fields(self)))


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
        waits = _waits(_with_ends(_by_task(events)), switches.num_rows, self._shifted)
        self._carried = _unsettled(_by_task(seen))
        return waits


def _empty() -> _Events:
    return _Events(*(np.zeros(0, np.int64) for _ in fields(_Events)))


def _events(switches: pa.Table, runnable: Array, wakeups: pa.Table, moves: pa.Table) -> _Events:
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
    return _Events(tid, times, cpus, kinds, row, np.zeros(0, np.int64))


def _in_time(events: _Events) -> _Events:
    """In the order of time, without the idle tasks."""
    order = np.argsort(events.time, kind="stable")
    order = order[events.tid[order] != 0]
    events.rank = np.zeros(len(events.tid), np.int64)
    return events.only(order)


def _join(parts: list[_Events]) -> _Events:
    """One after the other in time; `rank` says so."""
    joined = _Events(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Events)))
    joined.rank = np.arange(len(joined.tid))
    return joined


def _by_task(events: _Events) -> _Events:
    """By task, and in time for each."""
    return events.only(stable_order(events.tid - min(0, int(events.tid.min(initial=0)))))


def _firsts(events: _Events) -> _Events:
    """The first event of each task, none of them a switch of this block."""
    _, places = np.unique(events.tid, return_index=True)
    found = events.only(np.sort(places))
    found.row = np.full(len(found.row), -1)
    return found


def _unsettled(events: _Events) -> _Events:
    """What must be known of the past for the blocks to come, in the order of time.

    That is, of each task that is not simply asleep: what happened since the switch before its last one, with no more
    than the first wakeup after each switch.
    """
    place, starts = np.arange(len(events.tid)), _task_starts(events.tid)
    switched = events.kind >= OUT_RUNNABLE
    before = np.maximum(_last(place, switched), starts - 1)  # the switch before an event, of the same task
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


def _with_ends(events: _Events) -> _Events:
    """Put an END event, at the end of time, behind the last event of each task."""
    last = np.flatnonzero(np.diff(events.tid, append=events.tid[-1:] + 1)) + 1
    tid = events.tid[last - 1]
    return _Events(
        np.insert(events.tid, last, tid),
        np.insert(events.time, last, _NEVER),
        np.insert(events.cpu, last, -1),
        np.insert(events.kind, last, END),
        np.insert(events.row, last, -1),
        np.insert(events.rank, last, len(events.rank)),
    )


def _waits(events: _Events, switches: int, shifted_states: bool) -> Waits:
    kind, place = events.kind, np.arange(len(events.kind))
    anchor = _last(place, kind >= OUT_RUNNABLE)
    closing = np.flatnonzero((kind == IN) | (kind == END))
    before = anchor[closing]
    anchored = (before >= 0) & (kind[np.maximum(before, 0)] != END)
    first_wake = _next(place, kind == WAKE)[np.where(anchored, before + 1, _task_starts(events.tid)[closing])]
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


def _stretches(events: _Events, closing: Array, begin: Array, waits: Array, wakes: Array) -> Waits:
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


def _last(place: Array, marked: Array) -> Array:
    """For each event the nearest marked one strictly before it, or -1."""
    found = np.where(marked, place, -1)
    return np.concatenate([[-1], np.maximum.accumulate(found)[:-1]]) if len(found) else found


def _next(place: Array, marked: Array) -> Array:
    """For each event the nearest marked one at or after it; one place more is kept for what lies behind the last."""
    found = np.append(np.where(marked, place, _NEVER), _NEVER)
    return np.minimum.accumulate(found[::-1])[::-1]


def _task_starts(tid: Array) -> Array:
    """For each event the first event of its task."""
    starts = np.concatenate([[True], tid[1:] != tid[:-1]]) if len(tid) else np.zeros(0, bool)
    return np.maximum.accumulate(np.where(starts, np.arange(len(tid)), 0))

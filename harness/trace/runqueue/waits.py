"""When each task waited for a CPU, and which tasks waited at each switch. The rules are those of `slicing`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from harness.errors import TraceError
from harness.trace.decode.gather import Array
from harness.trace.runqueue.task_events import (
    MOVE,
    PICKED,
    PREEMPTED,
    WAKE,
    WOKEN,
    Events,
    next_place,
    stable_order,
    task_starts,
)

_BLOCK = 1 << 16
MAX_VALUES = (1 << 31) - 1  # of the offsets of lists, which are of 32 bits


@dataclass(frozen=True)
class EventBatch:
    """Events for a tracker, each table sorted by time.

    `runnable`, for each switch: whether the task that left still wanted the CPU. `group`, for each switch that is to be
    told of: 1 or 2 where its runnable set is wanted, else 0.
    """

    switches: pa.Table
    wakeups: pa.Table
    moves: pa.Table
    runnable: Array
    group: Array


@dataclass(frozen=True)
class SwitchWaits:
    """Of every switch: when the picked task began to wait, and when it was woken (ns); -1 where that is not known.

    `sets`: for each of the groups 1 and 2 of switches, the lists of the tasks that were runnable there.
    """

    wait_ns: Array
    wake_ns: Array
    sets: tuple[pa.ListArray, ...]


@dataclass(frozen=True)
class Waits:
    """Stretches of waiting on one CPU: the task, the CPU, and the switches (of any CPU) from `first` up to `stop`.

    `rank` is the order in which they began; `pick` the switch that ended it by picking the task there, -1 where none
    did. Per switch: `wait_ns` and `wake_ns` as in SwitchWaits.
    """

    tid: Array
    cpu: Array
    first: Array
    stop: Array
    rank: Array
    pick: Array
    wait_ns: Array
    wake_ns: Array

    def sets(self, cpu: Array, tid: Array, wanted: Iterable[Array]) -> tuple[pa.ListArray, ...]:
        """The runnable tasks at the wanted switches, by groups; `cpu` and `tid` (picked) are those of all switches."""
        order = np.argsort(cpu, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        keys = cpu[order].astype(np.int64) * (len(order) + 1) + order
        own = self.cpu * (len(order) + 1)
        first, stop = np.searchsorted(keys, own + self.first), np.searchsorted(keys, own + self.stop)
        alone = np.ones(len(order), bool)
        alone[self.pick[self.pick >= 0]] = False
        alone_rows = np.flatnonzero(alone)
        by_rank = stable_order(self.rank)
        tids = np.concatenate([self.tid[by_rank], tid[alone_rows]]).astype(np.int32)
        first = np.concatenate([first[by_rank], place[alone_rows]])
        stop = np.concatenate([stop[by_rank], place[alone_rows] + 1])
        if (held := int((stop - first).sum())) > MAX_VALUES:
            raise too_many(str(held))
        values, offsets = _expand(tids, first, stop, len(order))
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, pa.int32()))
        return tuple(lists.take(pa.array(place[rows])) for rows in wanted)


def too_many(values: str) -> TraceError:
    """What is said of runnable sets that do not fit into a list column."""
    return TraceError(
        f"the runnable sets of this recording hold {values} tasks together",
        expected=f"at most {MAX_VALUES}",
        hint="convert it to files instead, which is done in parts",
    )


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


def waits_of(events: Events, switches: int) -> Waits:
    """The waits in these events, which are settled, and by task and time. `switches`: how many switches there are."""
    kind, tid = events.kind, events.tid
    opening = np.flatnonzero(task_starts(tid) | (kind >= PICKED))  # a wait lies between two of these
    closing = np.append(opening[1:], len(kind))[: len(opening)]
    left = (kind[opening] == PREEMPTED) | (kind[opening] == WOKEN)
    begin = np.where(left, opening, next_place(kind == WAKE)[opening])
    waited = np.flatnonzero(begin < closing)
    if not len(waited):
        return Waits(*[np.zeros(0, np.int64)] * 6, *[np.full(switches, -1, np.int64)] * 2)
    begin, closing = begin[waited], closing[waited]
    last = np.minimum(closing, len(kind) - 1)
    ended = (closing < len(kind)) & (tid[last] == tid[begin])
    stop = np.where(ended, events.row[last], switches)
    pick = np.where(ended & (kind[last] == PICKED), events.row[last], -1)
    waits, wakes = np.full(switches, -1, np.int64), np.full(switches, -1, np.int64)
    picked = pick >= 0
    woken = picked & (kind[begin] != PREEMPTED)
    waits[pick[picked]] = events.time[begin[picked]]
    wakes[pick[woken]] = events.time[begin[woken]]
    return _stretches(events, begin, closing, stop, pick, waits, wakes)


def _stretches(
    events: Events, begin: Array, closing: Array, stop: Array, pick: Array, waits: Array, wakes: Array
) -> Waits:
    """Cut each wait where the task is moved."""
    moves = np.flatnonzero(events.kind == MOVE)
    held = np.searchsorted(begin, moves, side="right") - 1
    inside = (held >= 0) & (moves < closing[held])
    points = np.concatenate([begin, moves[inside]])
    owner = np.concatenate([np.arange(len(begin)), held[inside]])
    order = np.argsort(points)
    points, owner = points[order], owner[order]
    more = np.append(owner[1:] == owner[:-1], False)
    until = np.where(more, events.row[np.append(points[1:], 0)], stop[owner])
    last = np.minimum(closing[owner], len(events.kind) - 1)
    picked = ~more & (pick[owner] >= 0) & (events.cpu[points] == events.cpu[last])
    return Waits(
        tid=events.tid[points],
        cpu=events.cpu[points],
        first=events.row[points],
        stop=np.where(picked, until + 1, until),
        rank=events.rank[points],
        pick=np.where(picked, pick[owner], -1),
        wait_ns=waits,
        wake_ns=wakes,
    )

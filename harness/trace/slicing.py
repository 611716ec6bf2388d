"""Slices: one stay of one task on one CPU each, with the tasks that could have been picked when it began.

How the runnable set is rebuilt. A task waits from the moment it becomes runnable until it is picked:

- from a wakeup (the first `waking`, `wakeup` or `wakeup_new` after it went to sleep), on the wakeup's target CPU;
- from being switched out while still runnable (prev_state R or R+), on the CPU it left;
- a migration while it waits moves it to another CPU;
- a wakeup while it runs means nothing, unless it then goes to sleep and is next seen picked without another wakeup:
  it was woken while it was going to sleep, and waits from that switch on.

A task is known from its first event on. At a switch, the tasks waiting on that CPU (those that began to wait at the
very time of the switch included) are `runnable`, in the order in which they began to wait there; the one that was
picked is always among them. The idle task (tid 0) is in the list only where it was picked. The switch is `contested`
where two or more tasks other than the idle task are in the list, and forced otherwise.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import TraceError
from harness.trace.columns import codes, column, numbers, texts
from harness.trace.gather import Array
from harness.trace.reader import Trace
from harness.trace.states import is_runnable, true_state
from harness.trace.tables import SCHEMAS
from harness.trace.tracker import Tracker

_MAX_VALUES = (1 << 31) - 1
_LATER = ("slice_ns", "end_state")  # what is known of a stay only when it ends
_START_SCHEMA = pa.schema([field for field in SCHEMAS["slices"] if field.name not in _LATER])


def slices(trace: Trace) -> pa.Table:
    """The slices of a recording, sorted by `start_ns` and CPU, with the columns of `tables.SCHEMAS["slices"]`.

    The last stay on each CPU has no end and is left out, and so is one whose end was lost (the next switch on its CPU
    begins with another task). `wake_ns` is null for a task that waited because it was preempted, or whose wakeup is
    not in the recording. `end_state` is the state that was meant, also on kernels that report it shifted.
    """
    return slice_table(trace.switches, trace.wakeups, trace.migrations, shifted_states=trace.shifted_states)


def slice_table(
    switches: pa.Table, wakeups: pa.Table, migrations: pa.Table, *, shifted_states: bool = False
) -> pa.Table:
    """As `slices`, from tables sorted by time."""
    return Slicer(shifted_states).feed(switches, wakeups, migrations)


class Slicer:
    """Cuts a stream of events into slices, a block at a time.

    What is to come tells whether a task that left was asleep, in the odd cases above. It is looked for in the same
    block and, with `feed(..., ahead=...)`, in the next one; a task of which nothing is heard until then was asleep.
    """

    def __init__(self, shifted_states: bool = False) -> None:
        self._shifted = shifted_states
        self._tracker = Tracker(shifted_states)
        self._open = _START_SCHEMA.empty_table()  # the stay that goes on, one per CPU

    @property
    def earliest_open_ns(self) -> int | None:
        """When the oldest stay that goes on began; slices to come begin no earlier. None where none goes on."""
        return pc.min(self._open["start_ns"]).as_py()

    def feed(
        self,
        switches: pa.Table,
        wakeups: pa.Table,
        migrations: pa.Table,
        ahead: tuple[pa.Table, pa.Table] | None = None,
    ) -> pa.Table:
        """The slices that end in this block, sorted by start. Each table is sorted and lies wholly behind the last one.

        `ahead` are the switches and wakeups of the next block.
        """
        starts = self._starts(switches, wakeups, migrations, ahead)
        cpu, old = numbers(starts, "cpu"), self._open.num_rows
        order = np.argsort(cpu, kind="stable")
        this, after = order[:-1], order[1:]
        follows = cpu[this] == cpu[after]
        ends = follows & (numbers(starts, "tid")[this] == _prev_tids(switches, old)[after])
        rows, after = this[ends], after[ends] - old
        by_start = np.lexsort([cpu[rows], numbers(starts, "start_ns")[rows]])
        last = order[np.append(~follows, True)] if len(order) else order
        self._open = starts.take(pa.array(np.sort(last)))
        return self._finished(starts, rows[by_start], switches, after[by_start])

    def _starts(
        self,
        switches: pa.Table,
        wakeups: pa.Table,
        migrations: pa.Table,
        ahead: tuple[pa.Table, pa.Table] | None,
    ) -> pa.Table:
        """The stays that go on, then those that begin at each switch of the block."""
        letters = [true_state(text, self._shifted) for text in texts(switches, "prev_state")]
        wants = _runnable(letters, codes(switches, "prev_state"))
        seen = (ahead[0], ahead[1], _runnable_of(ahead[0], self._shifted)) if ahead else None
        waits = self._tracker.feed(switches, wants, wakeups, migrations, seen)
        cpu, tid = numbers(switches, "cpu"), numbers(switches, "next_tid")
        order = np.argsort(cpu, kind="stable")
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        values, offsets = waits.sets(cpu, numbers(switches, "time_ns"), tid, order)
        runnable = _lists(values, offsets, places)
        lengths = pc.list_value_length(runnable).to_numpy(zero_copy_only=False)
        columns = [
            column(switches, "time_ns"),
            column(switches, "cpu"),
            column(switches, "next_comm"),
            column(switches, "next_tid"),
            column(switches, "next_prio"),
            pa.array(waits.wake_ns, pa.int64(), mask=waits.wake_ns < 0),
            runnable,
            pa.array(lengths - (tid == 0) >= 2),
        ]
        begun = pa.Table.from_arrays(columns, schema=_START_SCHEMA)
        return pa.concat_tables([self._open, begun]).unify_dictionaries().combine_chunks() if len(self._open) else begun

    def _finished(self, starts: pa.Table, rows: Array, switches: pa.Table, after: Array) -> pa.Table:
        begun = starts.take(pa.array(rows))
        times = numbers(switches, "time_ns")[after] - numbers(starts, "start_ns")[rows]
        letters = [true_state(text, self._shifted) for text in texts(switches, "prev_state")]
        states = pa.DictionaryArray.from_arrays(
            pa.array(codes(switches, "prev_state")[after], pa.int32()), pa.array(letters, pa.string())
        )
        later = {"slice_ns": pa.array(times, pa.int64()), "end_state": _unified(states)}
        columns = [later[field.name] if field.name in later else begun[field.name] for field in SCHEMAS["slices"]]
        return pa.Table.from_arrays(columns, schema=SCHEMAS["slices"])


def _prev_tids(switches: pa.Table, old: int) -> Array:
    """The task that each switch switches out, with a place before for each stay that goes on."""
    return np.concatenate([np.full(old, -1, np.int32), numbers(switches, "prev_tid")])


def _runnable(letters: list[str], state: Array) -> Array:
    return np.array([is_runnable(text) for text in letters] or [False], dtype=bool)[state]


def _runnable_of(switches: pa.Table, shifted: bool) -> Array:
    letters = [true_state(text, shifted) for text in texts(switches, "prev_state")]
    return _runnable(letters, codes(switches, "prev_state"))


def _lists(values: Array, offsets: Array, places: Array) -> pa.Array:
    """The lists at `places`. Offsets are of 32 bits, so more than two thousand million values are refused."""
    if int(offsets[-1]) > _MAX_VALUES:
        raise TraceError(
            f"the runnable sets of this recording hold {int(offsets[-1])} tasks together",
            expected=f"at most {_MAX_VALUES}",
            hint="convert it to files instead, which is done in parts",
        )
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, pa.int32()))
    return lists if (places == np.arange(len(places))).all() else lists.take(pa.array(places))


def _unified(states: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values in a dictionary without repeats (setting shifted states right can make two letters one)."""
    return states.cast(pa.string()).dictionary_encode() if len(states) else states

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
from harness.trace.waits import find_waits

_MAX_VALUES = (1 << 31) - 1


def slices(trace: Trace) -> pa.Table:
    """The slices of a recording, sorted by `start_ns`, with the columns of DESIGN's `slices` table.

    The last stay on each CPU has no end and is left out, and so is one whose end was lost (the next switch on its CPU
    begins with another task). `wake_ns` is null for a task that waited because it was preempted, or whose wakeup is
    not in the recording. `end_state` is the state that was meant, also on kernels that report it shifted.
    """
    return slice_table(trace.switches, trace.wakeups, trace.migrations, shifted_states=trace.shifted_states)


def slice_table(
    switches: pa.Table, wakeups: pa.Table, migrations: pa.Table, *, shifted_states: bool = False
) -> pa.Table:
    """As `slices`, from tables sorted by time."""
    cpu = numbers(switches, "cpu")
    time, tid = numbers(switches, "time_ns"), numbers(switches, "next_tid")
    order = np.argsort(cpu, kind="stable")
    letters = [true_state(text, shifted_states) for text in texts(switches, "prev_state")]
    state = codes(switches, "prev_state")
    waits = find_waits(
        time, cpu, numbers(switches, "prev_tid"), tid, _runnable(letters, state), wakeups, migrations, shifted_states
    )
    rows = order[:-1][_ended(cpu, numbers(switches, "prev_tid"), tid, order)] if len(order) else order
    after = _following(order, rows)
    rows, after = _by_row(rows, after)
    runnable, offsets = waits.sets(cpu, time, tid, order)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return _table(switches, rows, after, letters, waits.wake_ns[rows], _lists(runnable, offsets, places[rows]))


def _by_row(rows: Array, after: Array) -> tuple[Array, Array]:
    order = np.argsort(rows, kind="stable")
    return rows[order], after[order]


def _ended(cpu: Array, prev_tid: Array, next_tid: Array, order: Array) -> Array:
    """Which switches in `order` (but the last) are followed by one on the same CPU that ends their stay."""
    this, following = order[:-1], order[1:]
    return (cpu[this] == cpu[following]) & (next_tid[this] == prev_tid[following])


def _following(order: Array, rows: Array) -> Array:
    """The switch that comes next on the same CPU, for each of `rows`."""
    after = np.zeros(len(order), np.int64)
    after[order[:-1]] = order[1:]
    return after[rows]


def _runnable(letters: list[str], state: Array) -> Array:
    return np.array([is_runnable(text) for text in letters] or [False], dtype=bool)[state]


def _lists(values: Array, offsets: Array, places: Array) -> pa.Array:
    """The lists at `places`. Offsets are of 32 bits, so more than two thousand million values are refused."""
    if int(offsets[-1]) > _MAX_VALUES:
        raise TraceError(
            f"the runnable sets of this recording hold {int(offsets[-1])} tasks together",
            expected=f"at most {_MAX_VALUES}",
            hint="record a shorter time",
        )
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, pa.int32()))
    return lists.take(pa.array(places))


def _table(
    switches: pa.Table, rows: Array, after: Array, letters: list[str], woken: Array, runnable: pa.Array
) -> pa.Table:
    time, tid = numbers(switches, "time_ns"), numbers(switches, "next_tid")
    lengths = pc.list_value_length(runnable).to_numpy(zero_copy_only=False)
    ends = pa.DictionaryArray.from_arrays(
        pa.array(codes(switches, "prev_state")[after], pa.int32()), pa.array(letters, pa.string())
    )
    columns = [
        pa.array(time[rows]),
        pa.array(time[after] - time[rows]),
        pa.array(numbers(switches, "cpu")[rows]),
        column(switches, "next_comm").take(pa.array(rows)),
        pa.array(tid[rows]),
        pa.array(numbers(switches, "next_prio")[rows]),
        _unified(ends),
        pa.array(woken, pa.int64(), mask=woken < 0),
        runnable,
        pa.array(lengths - (tid[rows] == 0) >= 2),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMAS["slices"])


def _unified(states: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values in a dictionary without repeats (setting shifted states right can make two letters one)."""
    return states.cast(pa.string()).dictionary_encode() if len(states) else states

"""Slices: one stay of one task on one CPU each, with the tasks that could have been picked when it began.

How the runnable set is rebuilt. Events are taken in the order of time; at one time wakeups come first, then migrations,
then switches by CPU, and those of one CPU as they stand in their table. A task waits from the moment it becomes
runnable until it is picked:

- from a wakeup (the first `waking`, `wakeup` or `wakeup_new` after it last left or got a CPU), on the target CPU;
- from being switched out while still runnable (prev_state R or R+), on the CPU it left;
- a migration while it waits moves it to another CPU;
- leaving a CPU ends its wait too: the task had been running when it was woken, or its pick was lost;
- a task that is switched out asleep, but was woken while it ran, waits from that switch on if it is picked before
  anything else happens to it than a migration, at most `tracker.LOOKAHEAD` events later. It was woken while it was
  going to sleep. If not, it was asleep.

A task is known from its first event on. At a switch, the tasks waiting on that CPU (those that began to wait at the
very time of the switch included) are `runnable`, in the order in which they began to wait there; the one that was
picked is always among them. The idle task (tid 0) is in the list only where it was picked. The switch is `contested`
where two or more tasks other than the idle task are in the list, and forced otherwise.

Kernels that shift states (4.14 to 4.19) show a sleeping idle thread (state I) as preempted. There the last of the rules
above tells for every task that left as R+ whether it waits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.trace.reader import Trace
from harness.trace.runqueue.batches import RunnableSetBound
from harness.trace.runqueue.tracker import LOOKAHEAD, EventBatch, SwitchWaits, Tracker
from harness.trace.tables.columns import codes, column, numbers, texts
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tracepoint.task_state import is_runnable, true_state

PIECE_VALUES = 1 << 20  # tasks in the runnable sets of slices that are handed on at once
_FIRST_ROWS = 8192  # of a piece, at most; of the next ones twice as many as of the last
_LATER = ("slice_ns", "end_state")  # what is known of a stay only when it ends
_START_SCHEMA = pa.schema([field for field in SCHEMAS["slices"] if field.name not in _LATER])


def slices(trace: Trace) -> pa.Table:
    """The slices of a recording, sorted by `start_ns` and CPU, with the columns of `tables.SCHEMAS["slices"]`.

    The last stay on each CPU has no end and is left out, and so is one whose end was lost (the next switch on its CPU
    begins with another task). `wake_ns` is null for a task that waited because it was preempted, or whose wakeup is
    not in the recording. `end_state` is the state that was meant, also on kernels that report it shifted.
    """
    return slice_table(trace.switches, trace.wakeups, trace.migrations, shifted_states=trace.shifted_states)


def slices_in_pieces(trace: Trace, piece_values: int = PIECE_VALUES) -> Iterator[pa.Table]:
    """As `slices`, one part after the other; a part's runnable sets hold at most `piece_values` tasks."""
    slicer = Slicer(trace.shifted_states, piece_values=piece_values)
    slicer.add(trace.switches, trace.wakeups, trace.migrations)
    return slicer.finish()


def slice_table(
    switches: pa.Table,
    wakeups: pa.Table,
    migrations: pa.Table,
    *,
    shifted_states: bool = False,
    lookahead: int = LOOKAHEAD,
) -> pa.Table:
    """As `slices`, from tables sorted by time."""
    slicer = Slicer(shifted_states, lookahead)
    slicer.add(switches, wakeups, migrations)
    return pa.concat_tables(slicer.finish())


class Slicer:
    """Cuts a stream of events into slices, block by block; how it is cut into blocks makes no difference.

    What is held back is what must be looked ahead. With `piece_values`, slices are cut in pieces that begin stays whose
    runnable sets hold at most so many tasks, however suddenly queues get deep; but events of one time are never cut.
    """

    def __init__(
        self, shifted_states: bool = False, lookahead: int = LOOKAHEAD, piece_values: int | None = None
    ) -> None:
        self._shifted, self._lookahead, self._piece_values = shifted_states, lookahead, piece_values
        self._piece_rows = 0  # of the last piece
        self._tracker = Tracker(shifted_states, lookahead)
        self._held: list[tuple[pa.Table, ...]] = []
        self._open = _START_SCHEMA.empty_table()  # the stay that goes on, one per CPU

    @property
    def earliest_ns(self) -> int | None:
        """Slices to come begin no earlier. None where nothing is known of any."""
        begun = [pc.min(self._open["start_ns"]).as_py(), *(pc.min(held[0]["time_ns"]).as_py() for held in self._held)]
        return min((time for time in begun if time is not None), default=None)

    def add(self, switches: pa.Table, wakeups: pa.Table, migrations: pa.Table) -> None:
        """Take the next block. Each table is sorted by time, and all of its rows are later than all taken before."""
        self._held.append((switches, wakeups, migrations))

    def ready(self) -> Iterator[pa.Table]:
        """The slices that can be told by now, sorted by start and CPU; none while it is not worth the trouble."""
        if sum(table.num_rows for held in self._held for table in held) > 3 * self._lookahead:
            yield from self._pieces(self._lookahead)

    def finish(self) -> Iterator[pa.Table]:
        """The slices that are left when nothing more comes; at least one table, which may be empty."""
        yield SCHEMAS["slices"].empty_table()
        if self._held:
            yield from self._pieces(0)

    def _pieces(self, kept: int) -> Iterator[pa.Table]:
        """Cut what is held, but for the last `kept` rows, which are only looked at."""
        tables = self._gathered()
        columns = [numbers(table, "time_ns") for table in tables]
        pieces = RunnableSetBound(*tables)
        times, at, edges = pieces.times, 0, [0, 0, 0]
        while (upto := self._upto(pieces, at, len(times) - kept)) > at:
            seen_ns = int(times[min(upto + self._lookahead, len(times)) - 1])
            seen = [int(np.searchsorted(column, seen_ns, side="right")) for column in columns]
            piece = [table.slice(low, high - low) for table, low, high in zip(tables, edges, seen, strict=True)]
            before_ns = int(times[upto]) if upto < len(times) else None
            edges = [
                len(column) if before_ns is None else int(np.searchsorted(column, before_ns)) for column in columns
            ]
            self._held = [tuple(table.slice(edge) for table, edge in zip(tables, edges, strict=True))]
            yield self._cut(piece, before_ns)
            at = upto

    def _upto(self, pieces: RunnableSetBound, at: int, last: int) -> int:
        """Where the piece that begins at row `at` ends, at most at row `last`; events of one time stay together."""
        upto, times = last, pieces.times
        if self._piece_values and at < last:
            upto = min(last, at + max(_FIRST_ROWS, 2 * self._piece_rows))
            fitting = pieces.fitting(at, upto, self._tracker.waiting, self._piece_values)
            upto = max(fitting, at + 1)
            self._piece_rows = upto - at
        if upto <= at or upto == len(times):
            return upto
        before = int(np.searchsorted(times, times[upto]))
        behind = int(np.searchsorted(times, times[upto], side="right"))
        return before if before > at else behind if behind <= last else at

    def _gathered(self) -> list[pa.Table]:
        """What is held, as one table of each kind."""
        tables = list(self._held[0])
        if len(self._held) > 1:
            tables = [_together(list(parts)) for parts in zip(*self._held, strict=True)]
        return [_by_cpu(tables[0]), *tables[1:]]

    def _cut(self, tables: list[pa.Table], before_ns: int | None) -> pa.Table:
        """The slices that end before a time (None: at any)."""
        switches, times = tables[0], numbers(tables[0], "time_ns")
        block = switches if before_ns is None else switches.slice(0, int(np.searchsorted(times, before_ns)))
        ending, ends, last = _stays(self._open, block)
        old = self._open.num_rows
        group = np.zeros(block.num_rows, np.uint8)
        group[ending[ending >= old] - old], group[last[last >= old] - old] = 1, 2
        wants = _runnable(switches, self._shifted)
        picks = self._tracker.feed(EventBatch(switches, tables[1], tables[2], wants, group), before_ns)
        ended, begun = (_begun(block, np.flatnonzero(group == number), picks, number) for number in (1, 2))
        before = self._open
        self._open = _together([before.take(pa.array(last[last < old])), begun])
        starts = pa.concat_tables([before.take(pa.array(ending[ending < old])), ended]).unify_dictionaries()
        return self._finished(starts, block, ends)

    def _finished(self, starts: pa.Table, switches: pa.Table, ends: np.ndarray) -> pa.Table:
        """Slices that start so and end with these switches."""
        states = column(switches, "prev_state")
        letters = [true_state(text, self._shifted) for text in states.dictionary.to_pylist()]
        states = pa.DictionaryArray.from_arrays(
            pa.array(states.indices.to_numpy()[ends], pa.int32()), pa.array(letters, pa.string())
        )
        times = numbers(switches, "time_ns")[ends] - numbers(starts, "start_ns")
        later = {"slice_ns": pa.array(times, pa.int64()), "end_state": _unified(states)}
        columns = [later[field.name] if field.name in later else starts[field.name] for field in SCHEMAS["slices"]]
        return pa.Table.from_arrays(columns, schema=SCHEMAS["slices"])


def _by_cpu(switches: pa.Table) -> pa.Table:
    """Sorted by time, and by CPU at one time."""
    time, cpu = numbers(switches, "time_ns"), numbers(switches, "cpu")
    if not ((time[1:] == time[:-1]) & (cpu[1:] < cpu[:-1])).any():
        return switches
    return switches.take(pa.array(np.lexsort([cpu, time])))


def _stays(going_on: pa.Table, switches: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which stays end in a block, at which switches, and which go on behind it.

    Stays are numbered: those that go on from before, then one for each switch.
    """
    cpu = np.concatenate([numbers(going_on, "cpu"), numbers(switches, "cpu")])
    tid = np.concatenate([numbers(going_on, "tid"), numbers(switches, "next_tid")])
    prev = np.concatenate([numbers(going_on, "tid"), numbers(switches, "prev_tid")])
    order = np.argsort(cpu, kind="stable")
    this, after = order[:-1], order[1:]
    follows = cpu[this] == cpu[after]
    ended = follows & (tid[this] == prev[after])
    end = np.full(len(order), -1)
    end[this[ended]] = after[ended] - going_on.num_rows
    ending = np.flatnonzero(end >= 0)
    last = order[np.append(~follows, True)] if len(order) else order
    return ending, end[ending], np.sort(last)


def _begun(switches: pa.Table, rows: np.ndarray, picks: SwitchWaits, group: int) -> pa.Table:
    """The stays that begin at these switches, which are the group's."""
    chosen, runnable = switches.take(pa.array(rows)), picks.sets[group - 1]
    lengths = np.diff(runnable.offsets.to_numpy())
    wake_ns = picks.wake_ns[rows]
    columns = [
        *(chosen[name] for name in ("time_ns", "cpu", "next_comm", "next_tid", "next_prio")),
        pa.array(wake_ns, pa.int64(), mask=wake_ns < 0),
        runnable,
        pa.array(lengths - (numbers(chosen, "next_tid") == 0) >= 2),
    ]
    return pa.Table.from_arrays(columns, schema=_START_SCHEMA)


def _runnable(switches: pa.Table, shifted: bool) -> np.ndarray:
    """At which switches the task that left still wanted the CPU."""
    wants = [is_runnable(true_state(text, shifted)) for text in texts(switches, "prev_state")]
    return np.array([*wants, False], dtype=bool)[codes(switches, "prev_state")]


def _together(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _unified(states: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values in a dictionary without repeats (setting shifted states right can make two letters one)."""
    return states.cast(pa.string()).dictionary_encode() if len(states) else states

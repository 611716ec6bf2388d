"""Slices: one stay of one task on one CPU each, with the tasks that could have been picked when it began.

How the runnable set is rebuilt. Events are taken in the order of time. At one time, wakeups come first, then
migrations, then switches by CPU; switches of one CPU stay in the order of their table. A task waits from the moment it
becomes runnable until it is picked:

- from a wakeup (the first `waking`, `wakeup` or `wakeup_new` after the task last left or got a CPU), on the target CPU;
- from being switched out while still runnable (prev_state R or R+), on the CPU that it left;
- a migration while it waits moves it to another CPU;
- leaving a CPU ends its wait, too: the task was already running when it was woken, or its pick was lost;
- a task can be woken while it runs and then be switched out asleep. Its next event (migrations do not count) decides.
  If that event is a pick at most `LOOKAHEAD` events later, the wakeup came while the task went to sleep, and
  the task waits from the switch on. Otherwise it sleeps.

A task is known from its first event on. At a switch, `runnable` lists the tasks that wait on that CPU (those that began
to wait at the very time of the switch included), in the order in which they began to wait there; the picked task is
always among them. The idle task (tid 0) is in the list only if it was picked. A switch is `contested` if the list has
two or more tasks other than the idle task, and forced otherwise.

Kernels that shift states (some of 4.14 to 4.19) show an idle kernel thread (state I) as preempted (R+). There the last
rule also decides for every task that left runnable, and the `end_state` of one that left as R+ and slept is I.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from harness.errors import TraceError
from harness.trace.quality import damage
from harness.trace.reader import Trace
from harness.trace.runqueue.batches import RunnableSetBound
from harness.trace.runqueue.lookahead import LOOKAHEAD
from harness.trace.runqueue.tracker import MAX_VALUES, EventBatch, SwitchWaits, Tracker
from harness.trace.scope import HOW_TO_RECORD
from harness.trace.tables.columns import codes, column, concatenate, numbers, plain, previous_in_group, texts
from harness.trace.tables.schemas import (
    SCHEMAS,
    compact,
    dictionary_column,
    empty_table,
    numbers_column,
    take,
    texts_column,
)
from harness.trace.tracepoint.task_state import IDLE_THREAD, PREEMPTED, is_runnable, true_state

BATCH_TASKS = 1 << 21  # tasks in the runnable sets of one batch of slices
MOST_AT_ONCE = 1 << 27  # the same of events of one time, which cannot be parted: 512 MB
_FIRST_EVENTS = 8192  # in the first batch, at most; each further batch has at most twice as many as the one before
_KNOWN_AT_END = ("slice_ns", "end_state")
_OF_THE_NEXT = ["time_ns", "cpu", "next_comm", "next_tid", "next_prio"]  # of a switch: what its slice begins with
_NEEDED = (
    [*_OF_THE_NEXT, "prev_tid", "prev_state"],
    ["time_ns", "tid", "target_cpu"],
    ["time_ns", "tid", "dest_cpu"],
)  # of switches, wakeups and migrations
_START_SCHEMA = pa.schema([field for field in SCHEMAS["slices"] if field.name not in _KNOWN_AT_END])


def slices(trace: Trace) -> pa.Table:
    """Return the slices of a recording, sorted by `start_ns` and CPU, with the columns of `schemas.SCHEMAS["slices"]`.

    Leaves out the last stay on each CPU, which has no end, and a stay whose end was lost (the next switch on its CPU is
    away from another task). `wake_ns` is null for a task that waited because it was preempted, or whose wakeup is not
    in the recording. `end_state` is the true state, also on kernels that report it shifted. `runnable` and `contested`
    are null without wakeups. TraceError if the switches do not tell the stays (`quality.run_times`).
    """
    if not trace.quality.run_times:
        raise TraceError(
            f"the slices of this recording are not known: {damage(trace.quality)}",
            where=str(trace.path),
            hint=HOW_TO_RECORD,
        )
    table = slice_table(trace.switches, trace.wakeups, trace.migrations, shifted_states=trace.shifted_states)
    return table if trace.quality.run_queues else without_queues(table)


def without_queues(slices: pa.Table) -> pa.Table:
    """Return slices without what is not known if no wakeups were recorded: who could run."""
    for name in ("runnable", "contested"):
        kind = slices.schema.field(name)
        slices = slices.set_column(slices.schema.get_field_index(name), kind, pa.nulls(slices.num_rows, kind.type))
    return slices


def slice_table(
    switches: pa.Table,
    wakeups: pa.Table,
    migrations: pa.Table,
    *,
    shifted_states: bool = False,
    lookahead: int = LOOKAHEAD,
) -> pa.Table:
    """Return what `slices` returns, from tables sorted by time."""
    slicer = Slicer(shifted_states, lookahead)
    slicer.add(switches, wakeups, migrations)
    return pa.concat_tables(slicer.finish())


class Slicer:
    """Cuts a stream of events into slices, block by block. The result does not depend on how it is cut into blocks.

    Holds the last `lookahead` events back. With `batch_tasks`, the runnable sets of the slices that begin in one batch
    hold at most so many tasks in sum, even where a queue grows suddenly; but events of one time stay in one batch,
    whose sets hold at most MOST_AT_ONCE. `most_waits`: see `Limits`; more raise TraceError.
    """

    def __init__(
        self,
        shifted_states: bool = False,
        lookahead: int = LOOKAHEAD,
        batch_tasks: int | None = None,
        most_waits: float = math.inf,
    ) -> None:
        self._shifted, self._lookahead, self._batch_tasks = shifted_states, lookahead, batch_tasks
        self._batch_events = 0  # in the last batch
        self._waits, self._most_waits = 0, most_waits
        self._tracker = Tracker(shifted_states, lookahead, MOST_AT_ONCE if batch_tasks else MAX_VALUES)
        self._held: list[tuple[pa.Table, ...]] = []
        self._open = empty_table(_START_SCHEMA)  # the stays that have not ended, one per CPU

    @property
    def earliest_ns(self) -> int | None:
        """The earliest start of the slices to come; None if no event is held and no stay is open."""
        starts = [numbers(self._open, "start_ns"), *(numbers(held[0], "time_ns") for held in self._held)]
        return min((int(times.min()) for times in starts if len(times)), default=None)

    def add(self, switches: pa.Table, wakeups: pa.Table, migrations: pa.Table) -> None:
        """Add the next block: tables sorted by time, all of whose rows are later than all rows before."""
        tables = zip((switches, wakeups, migrations), _NEEDED, strict=True)
        self._held = [tuple(map(compact, held)) for held in self._held]
        self._held.append(tuple(table.select(names) for table, names in tables))

    def ready(self) -> Iterator[pa.Table]:
        """Yield the slices that no later event can change, sorted by start and CPU; none while few events are held."""
        if sum(table.num_rows for held in self._held for table in held) > 3 * self._lookahead:
            yield from self._batches(self._lookahead)

    def finish(self) -> Iterator[pa.Table]:
        """Yield the remaining slices after the last block: at least one table, which may be empty."""
        yield empty_table(SCHEMAS["slices"])
        if self._held:
            yield from self._batches(0)

    def _batches(self, kept: int) -> Iterator[pa.Table]:
        """Cut the held events into slices, except the last `kept` events, which only serve as lookahead."""
        tables = self._held_tables()
        table_times = [numbers(table, "time_ns") for table in tables]
        bound = RunnableSetBound(*tables)
        times, first, edges = bound.times, 0, [0, 0, 0]
        while (stop := self._batch_end(bound, first, len(times) - kept)) > first:
            lookahead_ns = int(times[min(stop + self._lookahead, len(times)) - 1])
            ends = [int(np.searchsorted(column, lookahead_ns, side="right")) for column in table_times]
            batch = [table.slice(low, high - low) for table, low, high in zip(tables, edges, ends, strict=True)]
            before_ns = int(times[stop]) if stop < len(times) else None
            edges = [_rows_before(column, before_ns) for column in table_times]
            self._held = [tuple(table.slice(edge) for table, edge in zip(tables, edges, strict=True))]
            self._count_waits((stop - first) * self._tracker.waiting)
            yield self._cut(batch, before_ns)
            first = stop

    def _count_waits(self, tasks: int) -> None:
        """Count tasks that wait. Each costs time at every switch, so their sum is what a recording takes."""
        self._waits += tasks
        if self._waits > self._most_waits:
            raise TraceError(
                f"too many tasks wait in this recording: summed over its events, more than {self._most_waits:,}",
                expected="some hundreds at a time, as on a busy machine",
                hint="`harness trace convert` reads it nevertheless, however long it takes",
            )

    def _batch_end(self, bound: RunnableSetBound, first: int, last: int) -> int:
        """Return the end of the batch that starts at event `first`, at most `last`; `first` if more must come."""
        stop, times = last, bound.times
        if self._batch_tasks and first < last:
            stop = min(last, first + max(_FIRST_EVENTS, 2 * self._batch_events))
            stop = max(bound.end_within(first, stop, self._tracker.waiting, self._batch_tasks), first + 1)
            self._batch_events = stop - first
        if stop <= first or stop == len(times):
            return stop
        before = int(np.searchsorted(times, times[stop]))  # events of one time stay together
        after = int(np.searchsorted(times, times[stop], side="right"))
        return before if before > first else after if after <= last else first

    def _held_tables(self) -> list[pa.Table]:
        """Return the held events as one table of each kind."""
        tables = list(self._held[0])
        if len(self._held) > 1:
            tables = [concatenate(list(parts)) for parts in zip(*self._held, strict=True)]
        return [_by_time_and_cpu(tables[0]), *tables[1:]]

    def _cut(self, tables: list[pa.Table], before_ns: int | None) -> pa.Table:
        """Return the slices that end before `before_ns` (None: all)."""
        switches, wakeups, migrations = tables
        block = switches.slice(0, _rows_before(numbers(switches, "time_ns"), before_ns))
        ended, ending_rows, last = _stays(self._open, block)
        before, open_count = self._open, self._open.num_rows
        # 1: the stay that this switch begins ends in the block; 2: it stays open; 0: its end was lost
        group = np.zeros(block.num_rows, np.uint8)
        group[ended[ended >= open_count] - open_count], group[last[last >= open_count] - open_count] = 1, 2
        batch = EventBatch(switches, wakeups, migrations, left_runnable(switches, self._shifted), group)
        waits = self._tracker.feed(batch, before_ns)
        self._count_waits(sum(len(sets.values) for sets in waits.sets))
        new_ended, new_open = (_begun(block, np.flatnonzero(group == number), waits, number) for number in (1, 2))
        self._open = compact(concatenate([take(before, last[last < open_count]), new_open]))
        starts = pa.concat_tables([take(before, ended[ended < open_count]), new_ended]).unify_dictionaries()
        return self._finished(starts, true_states(block, self._shifted, waits.slept), block, ending_rows)

    @staticmethod
    def _finished(starts: pa.Table, states: pa.DictionaryArray, switches: pa.Table, ends: np.ndarray) -> pa.Table:
        """Return the slices that have these starts and end with the switches `ends`. `states`: one for each switch."""
        letters = states.dictionary.to_pylist()
        end_states = dictionary_column(plain(states.indices)[ends], lambda state: letters[state])
        slice_ns = numbers(switches, "time_ns")[ends] - numbers(starts, "start_ns")
        known_at_end = {"slice_ns": numbers_column(slice_ns, pa.int64()), "end_state": end_states}
        names = SCHEMAS["slices"].names
        columns = [known_at_end[name] if name in known_at_end else starts[name] for name in names]
        return pa.Table.from_arrays(columns, schema=SCHEMAS["slices"])


def left_runnable(switches: pa.Table, shifted: bool) -> np.ndarray:
    """Return for each switch whether the task that left was still runnable, as its state says.

    `shifted`: the kernel shifts states; then later events must show which of these tasks slept (`true_states`).
    """
    runnable = [is_runnable(true_state(text, shifted)) for text in texts(switches, "prev_state")]
    return np.array([*runnable, False], dtype=bool)[codes(switches, "prev_state")]


def true_states(switches: pa.Table, shifted: bool, slept: np.ndarray) -> pa.DictionaryArray:
    """Return the state in which the task of each switch left. `slept`: of each switch, as SwitchWaits has it."""
    letters = [true_state(text, shifted) for text in texts(switches, "prev_state")]
    states = codes(switches, "prev_state").astype(np.int32)
    if shifted and PREEMPTED in letters:
        states[slept & (states == letters.index(PREEMPTED))] = len(letters)
        letters.append(IDLE_THREAD)
    return pa.DictionaryArray.from_arrays(numbers_column(states, pa.int32()), texts_column(letters))


def true_states_of(trace: Trace) -> pa.DictionaryArray:
    """Return the state in which the task of each switch of a recording left, also if the kernel shifts states."""
    switches, no_sets = trace.switches, np.zeros(trace.switches.num_rows, np.uint8)
    if not trace.shifted_states:
        return column(switches, "prev_state")
    batch = EventBatch(switches, trace.wakeups, trace.migrations, left_runnable(switches, True), no_sets)
    return true_states(switches, True, Tracker(True).feed(batch).slept)


def _rows_before(times: np.ndarray, before_ns: int | None) -> int:
    return len(times) if before_ns is None else int(np.searchsorted(times, before_ns))


def _by_time_and_cpu(switches: pa.Table) -> pa.Table:
    """Sort switches of one time, which are sorted by time already, by CPU."""
    time, cpu = numbers(switches, "time_ns"), numbers(switches, "cpu")
    if not ((time[1:] == time[:-1]) & (cpu[1:] < cpu[:-1])).any():
        return switches
    return take(switches, np.lexsort([cpu, time]))


def _stays(open_stays: pa.Table, switches: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the stays that end in a block, the switches that end them, and the last stay on each CPU.

    Stays are numbered: first the open ones, then one for each switch.
    """
    cpu = np.concatenate([numbers(open_stays, "cpu"), numbers(switches, "cpu")])
    tid = np.concatenate([numbers(open_stays, "tid"), numbers(switches, "next_tid")])
    prev_tid = np.concatenate([numbers(open_stays, "tid"), numbers(switches, "prev_tid")])
    previous = previous_in_group(cpu)
    ending = np.flatnonzero((previous >= 0) & (tid[previous] == prev_tid))
    end = np.full(len(cpu), -1)
    end[previous[ending]] = ending - open_stays.num_rows
    ended = np.flatnonzero(end >= 0)
    is_last = np.ones(len(cpu), bool)
    is_last[previous[previous >= 0]] = False
    return ended, end[ended], np.flatnonzero(is_last)


def _begun(switches: pa.Table, rows: np.ndarray, waits: SwitchWaits, group: int) -> pa.Table:
    """Return the stays that begin at these rows of `switches`, which are those of the group."""
    chosen, runnable = compact(take(switches.select(_OF_THE_NEXT), rows)), waits.sets[group - 1]
    lengths = np.diff(plain(runnable.offsets))
    wake_ns = waits.wake_ns[rows]
    columns = [
        *chosen.columns,
        numbers_column(wake_ns, pa.int64(), valid=wake_ns >= 0),
        runnable,
        numbers_column(lengths - (numbers(chosen, "next_tid") == 0) >= 2, pa.bool_()),
    ]
    return pa.Table.from_arrays(columns, schema=_START_SCHEMA)

"""The rows read from a text, until they can leave in the order of time; and what they show of the recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pyarrow as pa

from harness.errors import TraceError
from harness.trace.decode.results import UnendedStays
from harness.trace.tables.schemas import EVENT_TABLES, SCHEMAS
from harness.trace.text.lines import TextFile

Row = tuple[Any, ...]  # time_ns, cpu, and the other columns of its table
Tables = dict[str, list[Row]]
_TIME, _CPU, _PREV_TID, _NEXT_TID = (
    SCHEMAS["switches"].names.index(n) for n in ("time_ns", "cpu", "prev_tid", "next_tid")
)
_NAMED_CPU = {  # column
    "wakeups": SCHEMAS["wakeups"].names.index("target_cpu"),
    "migrations": SCHEMAS["migrations"].names.index("dest_cpu"),
}
_HELD_ROWS = 100_000  # perf sorts its events; those that it could not sort are late by much less


class Rows:
    """Takes rows in the order of a text, and releases them in the order of time.

    `counts`: events by name. `inversions`: events earlier than the event before them, first in line `inverted_at`.
    `cpus`: those that have events; `named_cpus`: those for which tasks are woken or to which they move.
    `has_ns`: whether all times have nanoseconds. `merges_states`: `R` also stands for `R+`, as libtraceevent's plugin
    prints it. `chain_breaks`: of the switches released, those away from another task
    than the one switched to before on their CPU.
    """

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self._held: Tables = {table: [] for table in EVENT_TABLES}
        self._held_rows, self._released_ns = 0, -1
        self.counts: Counter[str] = Counter()
        self.cpus: set[int] = set()
        self.named_cpus: set[int] = set()
        self.has_ns, self.merges_states = True, False
        self.inversions, self.inverted_at, self._last_ns = 0, 0, -1
        self._span_ns: tuple[int, int] | None = None
        self.chain_breaks, self._running = 0, dict[int, int | None]()
        self._unended, self._left = Counter[int](), set[int]()  # stays without an end, by task; tasks that left

    @property
    def samples(self) -> int:
        """How many events the text has."""
        return self.counts.total()

    @property
    def span_ns(self) -> int:
        """Time from the first event to the last."""
        return self._span_ns[1] - self._span_ns[0] if self._span_ns else 0

    @property
    def ends_ns(self) -> tuple[int, int]:
        """The times of the first event and the last."""
        return self._span_ns or (0, 0)

    @property
    def unended(self) -> UnendedStays:
        """The stays of the released switches that have no end."""
        stays = [count for tid, count in self._unended.items() if tid and tid not in self._left]
        return UnendedStays(
            stays=sum(stays),
            tasks=len(stays),
            most=max(stays, default=0),
            left=len(self._left),
            idle=self._unended[0],
            idle_left=0 in self._left,
        )

    def count(self, event: str, time_ns: int, cpu: int, line: int) -> None:
        """Count an event, of whatever kind."""
        self.counts[event] += 1
        self.cpus.add(cpu)
        low, high = self._span_ns or (time_ns, time_ns)
        self._span_ns = min(low, time_ns), max(high, time_ns)
        if time_ns < self._last_ns:
            self.inversions += 1
            self.inverted_at = self.inverted_at or line
        self._last_ns = time_ns
        if time_ns < self._released_ns:
            raise self._out_of_order(line)

    def add(self, table: str, row: Row) -> None:
        """Keep a row until it is released."""
        if table in _NAMED_CPU:
            self.named_cpus.add(row[_NAMED_CPU[table]])
        self._held[table].append(row)
        self._held_rows += 1

    def ready(self) -> Iterator[Tables]:
        """Yield the earlier half of the rows if there are many."""
        if self._held_rows >= 2 * _HELD_ROWS:
            times = sorted(row[_TIME] for rows in self._held.values() for row in rows)
            self._released_ns = times[_HELD_ROWS]
            yield self._release()

    def rest(self) -> Iterator[Tables]:
        """Yield all rows that are left, after the last."""
        self._released_ns = self._last_ns = 1 << 63
        yield self._release()

    def _release(self) -> Tables:
        if self.inversions > max(self.samples // 10, 10):
            raise self._out_of_order(self.inverted_at)
        released = {table: self._before(table) for table in EVENT_TABLES}
        for row in released["switches"]:
            self._follow(row[_CPU], row[_PREV_TID], row[_NEXT_TID])
        return released

    def _follow(self, cpu: int, prev_tid: int | None, next_tid: int) -> None:
        """Take the next switch on a CPU; `prev_tid` is None where the text does not name that task."""
        expected = self._running.get(cpu)
        if prev_tid is not None:
            self._left.add(prev_tid)
            if expected not in (None, prev_tid):
                self.chain_breaks += 1
                self._unended[expected] += 1
        self._running[cpu] = next_tid

    def _before(self, table: str) -> list[Row]:
        """Take out the rows of one table that are to be released, by time; those of one time keep their order."""
        rows = sorted(self._held[table], key=itemgetter(_TIME))
        end = next((place for place, row in enumerate(rows) if row[_TIME] >= self._released_ns), len(rows))
        self._held[table] = rows[end:]
        self._held_rows -= end
        return rows[:end]

    def _out_of_order(self, line: int) -> TraceError:
        return TraceError(
            "the times of this text go back too far",
            where=self._text.where(line),
            expected="the events in the order of time, as perf prints them",
            hint="print one recording, without --deltatime",
        )


def to_arrow(table: str, rows: list[Row]) -> pa.Table:
    """Make an Arrow table of rows; None becomes null."""
    schema = SCHEMAS[table]
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, field.type) for field, values in zip(schema, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)

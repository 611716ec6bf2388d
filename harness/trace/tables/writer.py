"""Parquet files that tables are added to, block by block; whole under their name, or not there at all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.files import atomic_file, make_folder
from harness.trace.tables.columns import numbers
from harness.trace.tables.schemas import SCHEMAS

ROW_GROUP = 100_000  # rows, or as many fewer as take this many bytes in memory:
ROW_GROUP_BYTES = 16 << 20


class TableWriter:
    """`<folder>/<name>.parquet`, which exists when the `with` block has ended well."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.path, self.rows = name, folder / f"{name}.parquet", 0
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> TableWriter:
        make_folder(self.path.parent)
        file = self._stack.enter_context(atomic_file(self.path))
        self._writer = self._stack.enter_context(pq.ParquetWriter(file, SCHEMAS[self.name], compression="zstd"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._stack.__exit__(kind, error, trace)

    def add(self, table: pa.Table) -> None:
        """Take rows that lie behind those before."""
        self.rows += table.num_rows
        self._waiting.append(table)
        self._waiting_bytes += table.nbytes
        if sum(waiting.num_rows for waiting in self._waiting) >= ROW_GROUP or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if any(waiting.num_rows for waiting in self._waiting):
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting, self._waiting_bytes = [], 0


class LateSliceWriter:
    """As TableWriter, for slices, of which some come late: a stay on a quiet CPU ends long after it began.

    Rows wait here until none can come before them. When too many wait, they are written all the same, and what comes
    after all before them is put in its place in a second pass.
    """

    name = "slices"
    held_rows, held_bytes = 200_000, 24 << 20

    def __init__(self, folder: Path) -> None:
        self.path, self.rows = folder / "slices.parquet", 0
        self._folder = folder
        self._held = SCHEMAS[self.name].empty_table()
        self._late: list[pa.Table] = []
        self._written_ns = -(1 << 62)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> LateSliceWriter:
        self._sink = self._stack.enter_context(TableWriter(self._folder, self.name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(self._held)
        self._stack.__exit__(kind, error, trace)
        if kind is None and self._late:
            self._insert_late()

    def add(self, table: pa.Table, safe_ns: int | None) -> None:
        """Take slices sorted by start; those to come may begin at `safe_ns` or later (None: anywhen after these)."""
        self.rows += table.num_rows
        self._held = _sorted([self._held, self._set_late_aside(table)])
        cut = self._held.num_rows
        if safe_ns is not None and cut <= self.held_rows and self._held.nbytes <= self.held_bytes:
            cut = int(np.searchsorted(numbers(self._held, "start_ns"), safe_ns))
        self._write(self._held.slice(0, cut))
        self._held = self._held.slice(cut).combine_chunks()

    def _set_late_aside(self, table: pa.Table) -> pa.Table:
        late = pc.less_equal(table["start_ns"], self._written_ns)
        if pc.any(late).as_py():
            self._late.append(table.filter(late))
            table = table.filter(pc.invert(late))
        return table

    def _write(self, table: pa.Table) -> None:
        if table.num_rows:
            self._written_ns = table["start_ns"][-1].as_py()
            self._sink.add(table)

    def _insert_late(self) -> None:
        """Write the file once more, with the late rows in their places: of one time and CPU, they began last."""
        late, at = _sorted(self._late), 0
        starts = numbers(late, "start_ns")
        written = pq.ParquetFile(self.path)
        rest = late.slice(0, 0)
        with TableWriter(self._folder, self.name) as again:
            for group in range(written.num_row_groups):
                rows = _joined([rest, written.read_row_group(group).cast(SCHEMAS[self.name])])
                last_ns = rows["start_ns"][-1].as_py()  # rows of that time may be in the next group too
                upto = int(np.searchsorted(starts, last_ns))
                end = int(np.searchsorted(numbers(rows, "start_ns"), last_ns))
                again.add(_sorted([rows.slice(0, end), late.slice(at, upto - at)]))
                at, rest = upto, rows.slice(end)
            again.add(_sorted([rest, late.slice(at)]))


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _sorted(tables: list[pa.Table]) -> pa.Table:
    """All rows by start and CPU; rows of one start and CPU stay as they are."""
    whole = _joined(tables)
    starts = numbers(whole, "start_ns")
    if len(starts) < 2 or (starts[1:] > starts[:-1]).all():
        return whole
    return whole.take(pa.array(np.lexsort([numbers(whole, "cpu"), starts])))

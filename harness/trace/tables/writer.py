"""Writers of Parquet files, which take tables block by block; a file appears whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.files import atomic_file, used_folder
from harness.parquet_writer import ParquetWriter
from harness.trace.tables.background import Background
from harness.trace.tables.columns import concatenate, numbers
from harness.trace.tables.schemas import SCHEMAS, compact, empty_table, take, with_about

ROW_GROUP_ROWS, ROW_GROUP_BYTES = 100_000, 16 << 20  # a row group is written when it has this many rows or bytes
ROWS_WORTH_A_PIECE = 50  # shorter pieces of a table are copied rather than kept apart


class TableWriter:
    """Writes `<folder>/<name>.parquet`, which appears when the `with` block ends without an error; or writes `file`.

    `about` is added to the metadata of the table.
    """

    def __init__(
        self, folder: Path, name: str, file: BinaryIO | None = None, about: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.path, self.rows, self._file = name, folder / f"{name}.parquet", 0, file
        self._schema = with_about(SCHEMAS[name], about or {})
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0

    def __enter__(self) -> TableWriter:
        with contextlib.ExitStack() as stack:  # what was entered is left again if a signal comes before all is
            stack.enter_context(used_folder(self.path.parent))
            file = self._file or stack.enter_context(atomic_file(self.path))
            self._writer = stack.enter_context(ParquetWriter(file, self._schema, **_encodings(self._schema)))
            self._background = stack.enter_context(Background())
            stack.push(self._write_rest)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, table: pa.Table) -> None:
        """Add rows that follow all rows added before."""
        self.rows += table.num_rows
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        pending_rows = sum(pending.num_rows for pending in self._pending)
        if pending_rows >= ROW_GROUP_ROWS or self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _write_rest(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
            self._background.wait()

    def _flush(self) -> None:
        if any(pending.num_rows for pending in self._pending):
            self._background.run(self._write, self._pending)
        self._pending, self._pending_bytes = [], 0

    def _write(self, tables: list[pa.Table]) -> None:
        self._writer.write_table(pa.concat_tables(tables).unify_dictionaries())


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Store times as differences, lists as they are, and the other columns, whose values repeat, by dictionary."""
    times = [field.name for field in schema if pa.types.is_int64(field.type)]
    columns = [field.name for field in schema if not pa.types.is_list(field.type)]
    return {
        "use_dictionary": [name for name in columns if name not in times],
        "column_encoding": dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        "write_statistics": columns,
    }


class LateSliceWriter:
    """Writes slices sorted by start, though a slice is known only when it ends: a long stay arrives after later ones.

    Holds rows until no earlier row can arrive. If it holds too many, it writes them, collects the rows that arrive too
    late, and merges those in a second pass. The file appears when it is whole.
    """

    name = "slices"
    held_rows, held_bytes = 200_000, 24 << 20

    def __init__(self, folder: Path, about: Mapping[str, str] | None = None) -> None:
        self.path, self.rows = folder / "slices.parquet", 0
        self._folder, self._about = folder, about
        self._held = empty_table(SCHEMAS[self.name])
        self._new: list[pa.Table] = []  # not yet sorted into the rows that are held
        self._new_rows = self._new_bytes = 0
        self._late: list[pa.Table] = []
        self._written_ns = -(1 << 62)

    def __enter__(self) -> LateSliceWriter:
        with contextlib.ExitStack() as stack:
            stack.enter_context(used_folder(self._folder))
            self._first_pass = stack.enter_context(atomic_file(self.path))
            stack.push(self._merge_late)
            self._writer = stack.enter_context(TableWriter(self._folder, self.name, self._first_pass, self._about))
            stack.push(self._write_held)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, table: pa.Table, safe_ns: int | None) -> None:
        """Add slices sorted by start. The next calls add none that starts before `safe_ns` (None: before these)."""
        self.rows += table.num_rows
        self._new.append(table)
        self._new_rows, self._new_bytes = self._new_rows + table.num_rows, self._new_bytes + table.nbytes
        if self._new_rows >= self.held_rows // 4 or self._new_bytes >= self.held_bytes // 4:
            self._release(safe_ns)

    def _release(self, safe_ns: int | None) -> None:
        """Write the rows before `safe_ns` (None: all), and more if too many are held."""
        self._held = _sorted([self._held, *map(self._set_late_aside, self._new)])
        self._new, self._new_rows, self._new_bytes, cut = [], 0, 0, self._held.num_rows
        if safe_ns is not None and cut <= self.held_rows and self._held.nbytes <= self.held_bytes:
            cut = int(np.searchsorted(numbers(self._held, "start_ns"), safe_ns))
        self._write(self._held.slice(0, cut))
        self._held = compact(self._held.slice(cut))

    def _set_late_aside(self, table: pa.Table) -> pa.Table:
        late = numbers(table, "start_ns") <= self._written_ns
        if late.any():
            self._late.append(take(table, np.flatnonzero(late)))
            table = take(table, np.flatnonzero(~late))
        return table

    def _write(self, table: pa.Table) -> None:
        if table.num_rows:
            self._written_ns = table["start_ns"][-1].as_py()
            self._writer.add(table)

    def _write_held(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._release(None)

    def _merge_late(self, kind: type[BaseException] | None, *_: object) -> None:
        """Replace the first pass by a file with the late rows, which follow other rows of the same start and CPU."""
        if kind is not None or not self._late:
            return
        self._first_pass.flush()
        late, inserted = _sorted(self._late), 0
        late_starts = numbers(late, "start_ns")
        first_pass = pq.ParquetFile(self._first_pass.name, page_checksum_verification=True)
        rest = late.slice(0, 0)
        with TableWriter(self._folder, self.name, about=self._about) as writer:
            for group in range(first_pass.num_row_groups):
                rows = concatenate([rest, first_pass.read_row_group(group).cast(SCHEMAS[self.name])])
                last_ns = rows["start_ns"][-1].as_py()  # the next group may have rows of this time, too
                upto = int(np.searchsorted(late_starts, last_ns))
                end = int(np.searchsorted(numbers(rows, "start_ns"), last_ns))
                writer.add(_sorted([rows.slice(0, end), late.slice(inserted, upto - inserted)]))
                inserted, rest = upto, rows.slice(end)
            writer.add(_sorted([rest, late.slice(inserted)]))
        Path(self._first_pass.name).unlink()


def _sorted(tables: list[pa.Table]) -> pa.Table:
    """Sort the rows of all tables by start and CPU; rows of one start and CPU keep their order."""
    table = pa.concat_tables(tables).unify_dictionaries()
    starts = numbers(table, "start_ns")
    if len(starts) < 2 or (starts[1:] > starts[:-1]).all():
        return table
    return _in_order(table, np.lexsort([numbers(table, "cpu"), starts]))


def _in_order(table: pa.Table, order: np.ndarray) -> pa.Table:
    """Return the rows in this order. Where few rows move, none is copied: lists of tasks are long."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(order) != 1) + 1, [len(order)]])
    if len(edges) > len(order) // ROWS_WORTH_A_PIECE:
        return take(table, order)
    pieces = zip(order[edges[:-1]].tolist(), np.diff(edges).tolist(), strict=True)
    return pa.concat_tables([table.slice(first, rows) for first, rows in pieces])

"""A fake of the decoder, which has the rows of made-up tables."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.ctypeslib import as_ctypes

from harness.trace.tables.columns import codes, numbers, texts


class TableDecoder:
    """Has sorted tables, whose names and states are numbers in `texts`."""

    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self.texts: list[str] = []
        self._columns = {name: self._decoded(table) for name, table in tables.items()}

    def _decoded(self, table: pa.Table) -> dict[str, np.ndarray]:
        columns = {name: self._column(table, name) for name in table.column_names if not table[name].null_count}
        order = np.lexsort([columns[name] for name in ("cpu", "time_ns") if name in columns])
        return {name: np.ascontiguousarray(column[order]) for name, column in columns.items()}

    def _column(self, table: pa.Table, name: str) -> np.ndarray:
        if not pa.types.is_dictionary(table.schema.field(name).type):
            return numbers(table, name)
        first = len(self.texts)
        self.texts += texts(table, name)
        return (codes(table, name) + first).astype(np.int32)

    @property
    def tables(self) -> Set[str]:
        return self._columns.keys()

    def states(self) -> list[int]:
        return list(range(len(self.texts)))

    def sort(self) -> None:
        pass

    def sort_by_cpu(self, table: str) -> None:
        pass

    def rows_before(self, table: str, limit_ns: int | None) -> int:
        times = self._columns[table]["time_ns"]
        return len(times) if limit_ns is None else int(np.searchsorted(times, limit_ns))

    def view(self, table: str, rows: int) -> dict[str, Any]:
        return {name: as_ctypes(column) for name, column in self._columns[table].items()}

    def follow(self, rows: dict[str, int]) -> None:
        """Judge nothing."""

    def drop(self, table: str, rows: int) -> None:
        self._columns[table] = {name: column[rows:].copy() for name, column in self._columns[table].items()}

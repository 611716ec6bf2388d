"""Columns that may outgrow memory: a long one is written to a file as it grows, and mapped into memory once complete.

The file has no name: it disappears with the process, however that ends. The kernel reads the mapped pages when they are
used, and drops them again when memory is short. A short column stays in memory. Neither keeps a file open: recordings
of many CPUs have thousands of columns, and a process may open only 1024 files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.errors import StreamError

ROWS = 1 << 18  # handled at once, wherever a column is processed in parts
SHORT = 1 << 20  # bytes; a smaller column stays in memory


class DiskColumn:
    """A column of one type that grows at its end. StreamError for a full disk, or no temporary files."""

    def __init__(self, dtype: npt.DTypeLike, short: int = SHORT) -> None:
        self.dtype, self.size, self.short = np.dtype(dtype), 0, short
        self._in_memory: list[np.ndarray] = []
        self._file: IO[bytes] | None = None

    def append(self, values: np.ndarray) -> None:
        """Add `values` (n,) at the end, cast to the column's type."""
        self._in_memory.append(np.array(values, self.dtype))
        self.size += len(values)
        if self._file or self.size * self.dtype.itemsize >= self.short:
            self._write()

    def whole(self) -> np.ndarray:
        """Return the (size,) values added so far. No other array shares them, so they may be changed."""
        if not self._file:
            return np.concatenate([np.zeros(0, self.dtype), *self._in_memory])
        with _disk_errors(), self._file as file:
            file.flush()
            with pa.memory_map(f"/proc/self/fd/{file.fileno()}", "r+") as mapped:
                return np.asarray(_Mapped(mapped.read_buffer(), self.dtype))

    def _write(self) -> None:
        with _disk_errors():
            if not self._file:
                folder = os.environ.get("TMPDIR") or None  # `tempfile` alone would pass over one that does not exist
                self._file = tempfile.TemporaryFile(prefix="harness-column-", dir=folder)  # noqa: SIM115 (see `whole`)
            for values in self._in_memory:
                self._file.write(values.data)
        self._in_memory.clear()


class _Mapped:
    """A mapped buffer as numpy sees it: writable, and unmapped with the last array that views it."""

    def __init__(self, buffer: pa.Buffer, dtype: np.dtype) -> None:
        self.buffer = buffer
        shape, address = (buffer.size // dtype.itemsize,), (buffer.address, False)
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": address}


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn an OSError of a temporary file into a StreamError with advice."""
    try:
        yield
    except OSError as error:
        folder = os.environ.get("TMPDIR") or tempfile.tempdir or "temporary files"
        raise StreamError(
            f"{folder}: {error.strerror or error}: the columns of recordings are kept there while they are used; make"
            " room, or name another folder, on a disk, with TMPDIR"
        ) from error


def row_slices(size: int, rows: int = ROWS) -> Iterator[slice]:
    """Slices of at most `rows` that cover 0..size-1, in order."""
    for begin in range(0, size, rows):
        yield slice(begin, min(begin + rows, size))


def column_of_parts(
    size: int, dtype: npt.DTypeLike, make: Callable[[slice], np.ndarray], rows: int = ROWS
) -> np.ndarray:
    """Make a column of `size` values part by part."""
    column = DiskColumn(dtype)
    for part in row_slices(size, rows):
        column.append(make(part))
    return column.whole()

"""Columns that may outgrow memory: they are written to a file as they come, and mapped into memory once they are whole.

The file has no name any more by the time it is written to, so that it is gone with the process, however that ends. What
is mapped is read from disk as it is asked for, and the kernel drops it again when memory is short.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from model.errors import StreamError

ROWS = 1 << 18  # handled at once, wherever a column is gone through in parts


class Spool:
    """A column of one type that grows at its end. StreamError where the disk of temporary files is full."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype, self.size = np.dtype(dtype), 0
        self._file = tempfile.TemporaryFile(prefix="harness-column-")  # noqa: SIM115 (closed by `whole`)

    def append(self, values: np.ndarray) -> None:
        """Add `values` (n,) at the end, cast to the column's type."""
        try:
            self._file.write(np.ascontiguousarray(values, self.dtype).data)
        except OSError as error:
            raise StreamError(
                f"{tempfile.gettempdir()}: {error.strerror}: the columns of recordings are kept there while they are"
                " used; make room, or name another place with TMPDIR"
            ) from error
        self.size += len(values)

    def whole(self) -> np.ndarray:
        """(size,) everything that was added. What is written to it stays private to the array."""
        with self._file as file:
            file.flush()
            if not self.size:
                return np.zeros(0, self.dtype)
            return np.asarray(np.memmap(file, self.dtype, "c", shape=(self.size,)))


def parts(size: int, rows: int = ROWS) -> Iterator[slice]:
    """Slices of at most `rows` that make up 0..size-1, in order."""
    for begin in range(0, size, rows):
        yield slice(begin, min(begin + rows, size))


def mapped(size: int, dtype: npt.DTypeLike, make: Callable[[slice], np.ndarray], rows: int = ROWS) -> np.ndarray:
    """A column of `size` that is made part by part."""
    spool = Spool(dtype)
    for part in parts(size, rows):
        spool.append(make(part))
    return spool.whole()

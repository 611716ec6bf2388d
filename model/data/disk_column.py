"""Columns that may outgrow memory: a long one is written to a file as it comes, and mapped into memory once whole.

The file has no name any more by the time it is written to, so that it is gone with the process, however that ends. What
is mapped is read from disk as it is asked for, and the kernel drops it again when memory is short. A short column stays
in memory. Neither keeps a file open: recordings of many CPUs have thousands of columns, a process but 1024 open files.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import numpy.typing as npt

from model.errors import StreamError

ROWS = 1 << 18  # handled at once, wherever a column is gone through in parts
SHORT = 1 << 20  # bytes; a column of fewer stays in memory


class Spool:
    """A column of one type that grows at its end. StreamError where temporary files cannot be made, or are too long."""

    def __init__(self, dtype: npt.DTypeLike, short: int = SHORT) -> None:
        self.dtype, self.size, self.short = np.dtype(dtype), 0, short
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None

    def append(self, values: np.ndarray) -> None:
        """Add `values` (n,) at the end, cast to the column's type."""
        self._parts.append(np.array(values, self.dtype))
        self.size += len(values)
        if self._file or self.size * self.dtype.itemsize >= self.short:
            self._spill()

    def whole(self) -> np.ndarray:
        """(size,) everything that was added. What is written to it stays private to the array."""
        if not self._file:
            return np.concatenate([np.zeros(0, self.dtype), *self._parts])
        with _on_disk(), self._file as file:
            file.flush()
            return np.frombuffer(memoryview(_map(file.fileno(), self.size * self.dtype.itemsize)), self.dtype)

    def _spill(self) -> None:
        with _on_disk():
            if not self._file:
                place = os.environ.get("TMPDIR") or None  # left to itself, `tempfile` takes another if it is not there
                self._file = tempfile.TemporaryFile(prefix="harness-column-", dir=place)  # noqa: SIM115 (see `whole`)
            for part in self._parts:
                self._file.write(part.data)
        self._parts.clear()


@contextmanager
def _on_disk() -> Iterator[None]:
    """What the system says of temporary files, with what can be done about it."""
    try:
        yield
    except OSError as error:
        place = os.environ.get("TMPDIR") or tempfile.tempdir or "temporary files"
        raise StreamError(
            f"{place}: {error.strerror}: the columns of recordings are kept there while they are used; make room, or"
            " name another folder, on a disk, with TMPDIR"
        ) from error


def _map(descriptor: int, size: int) -> ctypes.Array[ctypes.c_ubyte]:
    """The file's content as memory; what is written there stays out of the file. OSError.

    The C library is called because Python's own `mmap` (before 3.13, always) holds on to a copy of the descriptor.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    address = library.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, descriptor, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    memory = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(memory, library.munmap, address, size).atexit = False  # arrays may be read until the very end
    return memory


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

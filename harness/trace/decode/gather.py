"""Takes fixed-size pieces out of a byte buffer at many places at once."""

from __future__ import annotations

import numpy as np

from harness.trace.perf_data.records import PADDING

Array = np.ndarray


def padded(data: bytes | bytearray | memoryview) -> Array:
    """A uint8 array of `data` with PADDING zero bytes behind it."""
    buffer = np.zeros(len(data) + PADDING, dtype=np.uint8)
    buffer[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    return buffer


def gather(buffer: Array, at: Array, dtype: str, offset: int = 0) -> Array:
    """One item of `dtype` at each byte address `at + offset`. Addresses must lie within the buffer."""
    size = np.dtype(dtype).itemsize
    count = max(0, len(buffer) - offset - size + 1)
    windows: Array = np.ndarray((count,), dtype=dtype, buffer=buffer, offset=offset if count else 0, strides=(1,))
    return windows[at]


def gather_rows(buffer: Array, at: Array, size: int) -> Array:
    """`size` bytes at each address, as an array of shape (len(at), size)."""
    if not len(at) or not size:
        return np.zeros((len(at), size), dtype=np.uint8)
    return gather(buffer, at, f"V{size}").view(np.uint8).reshape(len(at), size)


def column(rows: Array, dtype: str, offset: int) -> Array:
    """The integers that lie at `offset` in every row, as a view."""
    if not len(rows):
        return np.zeros(0, dtype=dtype)
    return np.ndarray((len(rows),), dtype=dtype, buffer=rows, offset=offset, strides=(rows.shape[1],))

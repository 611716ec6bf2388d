"""Columns of Arrow tables as numpy arrays."""

from __future__ import annotations

import os
from ctypes import c_int, c_int64, c_uint64, c_void_p

import numpy as np
import pyarrow as pa

from harness.trace.native.library import Signatures, load_functions

_FUNCTIONS: Signatures = {"previous_in_group": (c_int, [c_void_p, c_int64, c_uint64, c_void_p])}


def column(table: pa.Table, name: str) -> pa.Array:
    """Return a column in one piece."""
    chunks = table.column(name)
    return chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of numbers or truth values."""
    return plain(column(table, name))


def codes(table: pa.Table, name: str) -> np.ndarray:
    """Return the indices of a dictionary-encoded column: for each row, that of its text in `texts`."""
    return plain(column(table, name).indices)


def plain(values: pa.Array) -> np.ndarray:
    """Return the numbers or truth values of an array; numbers are not copied.

    `Array.to_numpy` is only used where there are nulls: its first call imports pandas, which takes longer than reading
    a million samples.
    """
    if values.null_count:
        return values.to_numpy(zero_copy_only=False)
    if not len(values):
        return np.zeros(0, values.type.to_pandas_dtype())
    if pa.types.is_boolean(values.type):
        bits = np.frombuffer(values.buffers()[1], np.uint8)
        return np.unpackbits(bits, bitorder="little", count=values.offset + len(values))[values.offset :].astype(bool)
    items = np.frombuffer(values.buffers()[1], values.type.to_pandas_dtype())
    return items[values.offset : values.offset + len(values)]


def texts(table: pa.Table, name: str) -> list[str]:
    """Return the dictionary of a dictionary-encoded column."""
    return column(table, name).dictionary.to_pylist()


def concatenate(tables: list[pa.Table]) -> pa.Table:
    """Return the rows of all tables, each column in one piece and with one dictionary."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def previous_in_group(keys: np.ndarray) -> np.ndarray:
    """Return for each row the index of the last row before it with the same key, an integer of up to 32 bits; or -1."""
    keys, previous = np.ascontiguousarray(keys, np.int32), np.empty(len(keys), np.int64)
    seed = int.from_bytes(os.urandom(8), "little")
    if load_functions(_FUNCTIONS).previous_in_group(keys.ctypes.data, len(keys), seed, previous.ctypes.data):
        raise MemoryError(f"no room for the groups of {len(keys)} rows")
    return previous

"""Columns of Arrow tables as numpy arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def column(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    found = table.column(name)
    return found.chunk(0) if found.num_chunks == 1 else found.combine_chunks()


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column of numbers or truth values."""
    return column(table, name).to_numpy(zero_copy_only=False)


def codes(table: pa.Table, name: str) -> np.ndarray:
    """The numbers that stand for the texts of a dictionary-encoded column."""
    return column(table, name).indices.to_numpy()


def texts(table: pa.Table, name: str) -> list[str]:
    """The texts of a dictionary-encoded column, by number."""
    return column(table, name).dictionary.to_pylist()


def concatenate(tables: list[pa.Table]) -> pa.Table:
    """Return the rows of all tables, each column in one piece and with one dictionary."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()

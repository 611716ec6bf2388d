"""Writes the answer to a query as CSV, JSON or Parquet, batch by batch."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import csv

from harness.parquet_writer import ParquetWriter
from harness.query.result import QueryResult
from harness.query.statement import QueryError
from harness.visible import visible


def first_rows(batches: Iterable[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """Yield batches up to this many rows; all of them without a limit."""
    left = limit
    for batch in batches:
        part = batch if left is None else batch.slice(0, left)
        yield part
        left = None if left is None else left - part.num_rows
        if left == 0:
            return


def write_csv(result: QueryResult, sink: BinaryIO, limit: int | None = None, *, escaped: bool = False) -> int:
    """Write a header and the rows; null is empty, an empty text is "". Return the number of rows.

    Lists and maps are JSON. With `escaped`, a text cannot command the terminal that shows it.
    """
    names, kinds = result.schema.names, result.schema.types
    spell = [_csv_speller(kind, escaped) for kind in kinds]
    schema = pa.schema(
        [
            (visible(name) if escaped else name, pa.string() if one else kind)
            for name, kind, one in zip(names, kinds, spell, strict=True)
        ]
    )
    rows = 0
    with csv.CSVWriter(sink, schema) as writer:
        for batch in first_rows(result.batches(), limit):
            columns = [
                pa.array([None if value is None else one(value) for value in column.to_pylist()], pa.string())
                if one
                else column
                for column, one in zip(batch.columns, spell, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            rows += batch.num_rows
    return rows


def _csv_speller(kind: pa.DataType, escaped: bool) -> Callable[[Any], str] | None:
    """Return what spells a value of a type; None where Arrow's own writer does."""
    if pa.types.is_nested(kind) or pa.types.is_interval(kind) or pa.types.is_binary(kind):
        return lambda value: json.dumps(plain(value)) if isinstance(value, (list, dict)) else str(plain(value))
    return visible if escaped and pa.types.is_string(kind) else None


def write_json(
    result: QueryResult, sink: BinaryIO, limit: int | None = None, *, problems: Callable[[], Sequence[str]] = list
) -> int:
    """Write one document in ASCII: `columns` (types by name), `rows` (objects), `problems`. Return how many."""
    names = _distinct_names(result)
    types = {field.name: str(field.type) for field in result.schema}
    sink.write(f'{{"columns": {json.dumps(types)},\n "rows": ['.encode())
    rows = 0
    for batch in first_rows(result.batches(), limit):
        columns = [column.to_pylist() for column in batch.columns]
        for values in zip(*columns, strict=True):
            row = {name: plain(value) for name, value in zip(names, values, strict=True)}
            sink.write(f"{',' * bool(rows)}\n  {json.dumps(row, allow_nan=False)}".encode())
            rows += 1
    sink.write(f'\n ],\n "problems": {json.dumps(list(problems()))}}}\n'.encode())
    return rows


def write_parquet(result: QueryResult, sink: BinaryIO, limit: int | None = None) -> int:
    """Write one Parquet file, compressed, with checksums. Return the number of rows."""
    _distinct_names(result)
    rows = 0
    with ParquetWriter(sink, result.schema) as writer:
        for batch in first_rows(result.batches(), limit):
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def plain(value: Any) -> Any:
    """Return a value of an answer as JSON has it: times and bytes as text, whole decimals as integers, no NaN."""
    if isinstance(value, list):
        pairs = bool(value) and all(isinstance(item, tuple) and len(item) == 2 for item in value)  # a map
        return {str(key): plain(item) for key, item in value} if pairs else [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return visible(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _distinct_names(result: QueryResult) -> list[str]:
    """Return the names of the columns. Raises QueryError if two are the same."""
    names: list[str] = result.schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        what = f"two columns of the answer are called {twice[0]}"
        raise QueryError(what, expected="names that differ", hint=f"SELECT ... AS {twice[0]}_2")
    return names

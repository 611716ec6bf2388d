"""The tables of a recording: their schemas, and the making of Arrow tables from blocks of decoded columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from harness.trace.decode.results import Block
from harness.trace.tables.columns import column, plain
from harness.trace.tracepoint.comm import to_text

SCHEMA_VERSION = 1

_FEW_ROWS = 1000
_MANY_TEXTS = 1000  # that no row has
_TEXT = pa.dictionary(pa.int32(), pa.string())
_TASK: list[tuple[str, pa.DataType]] = [("comm", _TEXT), ("tid", pa.int32()), ("prio", pa.int16())]
_TIME_CPU: list[tuple[str, pa.DataType]] = [("time_ns", pa.int64()), ("cpu", pa.int16())]


SCHEMAS: dict[str, pa.Schema] = {
    table: pa.schema(columns, metadata={"schema_version": str(SCHEMA_VERSION), "table": table})
    for table, columns in {
        "switches": [
            *_TIME_CPU,
            ("prev_comm", _TEXT),
            ("prev_tid", pa.int32()),
            ("prev_prio", pa.int16()),
            ("prev_state", _TEXT),
            ("next_comm", _TEXT),
            ("next_tid", pa.int32()),
            ("next_prio", pa.int16()),
        ],
        "wakeups": [*_TIME_CPU, ("kind", _TEXT), *_TASK, ("target_cpu", pa.int16())],
        "runtimes": [
            *_TIME_CPU,
            ("comm", _TEXT),
            ("tid", pa.int32()),
            ("runtime_ns", pa.int64()),
            ("vruntime_ns", pa.int64()),
        ],
        "migrations": [*_TIME_CPU, *_TASK, ("orig_cpu", pa.int16()), ("dest_cpu", pa.int16())],
        "forks": [*_TIME_CPU, ("comm", _TEXT), ("tid", pa.int32()), ("child_comm", _TEXT), ("child_tid", pa.int32())],
        "execs": [*_TIME_CPU, ("filename", _TEXT), ("tid", pa.int32()), ("old_tid", pa.int32())],
        "exits": [*_TIME_CPU, *_TASK, ("group_dead", pa.bool_())],
        "slices": [
            ("start_ns", pa.int64()),
            ("slice_ns", pa.int64()),
            ("cpu", pa.int16()),
            *_TASK,
            ("end_state", _TEXT),
            ("wake_ns", pa.int64()),
            ("runnable", pa.list_(pa.int32())),
            ("contested", pa.bool_()),
        ],
    }.items()
}
TASK_SCHEMA = pa.schema(
    [
        ("comm", pa.string()),
        ("tid", pa.int32()),
        ("runs", pa.int64()),
        ("run_ns", pa.int64()),
        ("run_min_ns", pa.int64()),
        ("run_mean_ns", pa.float64()),
        ("run_max_ns", pa.int64()),
        ("run_error_percent", pa.float64()),
        ("preemptions", pa.int64()),
        ("migrations", pa.int64()),
        ("delays", pa.int64()),
        ("delay_mean_ns", pa.float64()),
        ("delay_max_ns", pa.int64()),
        ("delay_max_from_ns", pa.int64()),
        ("runtime_ns", pa.int64()),
    ]
)
CPU_SCHEMA = pa.schema(
    [
        ("cpu", pa.int16()),
        ("switches", pa.int64()),
        ("busy_ns", pa.int64()),
        ("idle_ns", pa.int64()),
        ("preemptions", pa.int64()),
        ("contested", pa.int64()),
        ("runnable_mean", pa.float64()),
        ("runnable_max", pa.int64()),
    ]
)
EVENT_TABLES = tuple(table for table in SCHEMAS if table != "slices")


def with_about(schema: pa.Schema, about: Mapping[str, str]) -> pa.Schema:
    """Add what is known of a recording, such as the clock of its machine, to a table's own metadata."""
    added = {key.encode(): value.encode() for key, value in about.items()}
    return schema.with_metadata({**added, **schema.metadata})


def to_table(table: str, block: Block, names: list[bytes], letters: list[str]) -> pa.Table:
    """Make an Arrow table with exactly the columns of its schema; columns that the kernel does not write are null.

    `names` and `letters` are the task names and states to which the numbers in the block refer.
    """
    schema = SCHEMAS[table]
    rows = len(block["time_ns"]) if block else 0
    columns = [_column(field, block, rows, names, letters) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(field: pa.Field, block: Block, rows: int, names: list[bytes], letters: list[str]) -> pa.Array:
    if field.name not in block:
        return pa.nulls(rows, field.type)
    values = np.asarray(block[field.name])
    if field.name == "prev_state":
        return dictionary_column(values, lambda code: letters[code])
    if field.type == _TEXT:
        return dictionary_column(values, lambda code: to_text(names[code]))
    return numbers_column(values, field.type)


def empty_table(schema: pa.Schema) -> pa.Table:
    """Make a table without rows."""
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def numbers_column(values: np.ndarray, kind: pa.DataType, valid: np.ndarray | None = None) -> pa.Array:
    """Make a column of numbers or truth values; numbers are not copied. `valid`: the others are null.

    `pyarrow.array` is not used: its first call imports pandas, which takes longer than reading a million samples.
    """
    present = None if valid is None else _bits(valid)
    if pa.types.is_boolean(kind):
        return pa.Array.from_buffers(kind, len(values), [present, _bits(values)])
    values = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(values), [present, pa.py_buffer(values)])


def take(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return these rows of a table."""
    return pa.Table.from_arrays([_taken(column(table, name), rows) for name in table.column_names], schema=table.schema)


def compact(table: pa.Table) -> pa.Table:
    """Return a table without the texts that no row has, where those are many: a part of a table keeps all its texts.

    Otherwise a task name costs time and memory in every later part, and not only in that where the task ran.
    """
    columns = [_with_used_texts(column(table, name)) for name in table.column_names]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _with_used_texts(values: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(values.type) or len(values.dictionary) <= _MANY_TEXTS + 2 * len(values):
        return values
    if values.null_count:
        return values.cast(values.type.value_type).dictionary_encode().cast(values.type)
    used, rows = np.unique(plain(values.indices), return_inverse=True)
    texts = values.dictionary.take(numbers_column(used, pa.int64()))
    return pa.DictionaryArray.from_arrays(numbers_column(rows, pa.int32()), texts)


def _taken(values: pa.Array, rows: np.ndarray) -> pa.Array:
    """Return these rows of an array. `Array.take` is for many lists only: its first call imports for 0.05 s."""
    if pa.types.is_dictionary(values.type):
        return pa.DictionaryArray.from_arrays(_taken(values.indices, rows), values.dictionary)
    if pa.types.is_integer(values.type) and not values.null_count:
        return numbers_column(plain(values)[rows], values.type)
    if len(rows) > _FEW_ROWS:
        return values.take(numbers_column(rows, pa.int64()))
    return pa.concat_arrays([values.slice(0, 0), *(values.slice(row, 1) for row in rows.tolist())])


def _bits(values: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def texts_column(texts: list[str]) -> pa.Array:
    """Make a column of texts, without `pyarrow.array` for the same reason."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def dictionary_column(codes: np.ndarray, text_of: Callable[[int], str]) -> pa.DictionaryArray:
    """Make a dictionary<int32, string> column; its dictionary is sorted and has only the texts that occur."""
    used = np.flatnonzero(np.bincount(codes))
    texts = [text_of(code) for code in used.tolist()]
    dictionary = sorted(set(texts))
    index_of = {text: index for index, text in enumerate(dictionary)}
    new_codes = np.zeros(int(used.max(initial=-1)) + 1, np.int32)
    new_codes[used] = [index_of[text] for text in texts]
    return pa.DictionaryArray.from_arrays(numbers_column(new_codes[codes], pa.int32()), texts_column(dictionary))

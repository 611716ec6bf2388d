"""The tables of a recording: their schemas, and how blocks of decoded columns become one sorted Arrow table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from harness.trace.comms import dictionary_column, to_text
from harness.trace.decode import Block
from harness.trace.gather import Array
from harness.trace.order import time_order
from harness.trace.states import StateNames

SCHEMA_VERSION = 1

_TEXT = pa.dictionary(pa.int32(), pa.string())
_TASK: list[tuple[str, pa.DataType]] = [("comm", _TEXT), ("tid", pa.int32()), ("prio", pa.int16())]
_WHERE: list[tuple[str, pa.DataType]] = [("time_ns", pa.int64()), ("cpu", pa.int16())]


def _schema(table: str, columns: list[tuple[str, pa.DataType]]) -> pa.Schema:
    return pa.schema(columns, metadata={"schema_version": str(SCHEMA_VERSION), "table": table})


SCHEMAS: dict[str, pa.Schema] = {
    table: _schema(table, columns)
    for table, columns in {
        "switches": [
            *_WHERE,
            ("prev_comm", _TEXT),
            ("prev_tid", pa.int32()),
            ("prev_prio", pa.int16()),
            ("prev_state", _TEXT),
            ("next_comm", _TEXT),
            ("next_tid", pa.int32()),
            ("next_prio", pa.int16()),
        ],
        "wakeups": [*_WHERE, ("kind", _TEXT), *_TASK, ("target_cpu", pa.int16())],
        "runtimes": [
            *_WHERE,
            ("comm", _TEXT),
            ("tid", pa.int32()),
            ("runtime_ns", pa.int64()),
            ("vruntime_ns", pa.int64()),
        ],
        "migrations": [*_WHERE, *_TASK, ("orig_cpu", pa.int16()), ("dest_cpu", pa.int16())],
        "forks": [*_WHERE, ("comm", _TEXT), ("tid", pa.int32()), ("child_comm", _TEXT), ("child_tid", pa.int32())],
        "execs": [*_WHERE, ("filename", _TEXT), ("tid", pa.int32()), ("old_tid", pa.int32())],
        "exits": [*_WHERE, *_TASK, ("group_dead", pa.bool_())],
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
EVENT_TABLES = tuple(table for table in SCHEMAS if table != "slices")


def join(blocks: list[Block]) -> Block:
    """One block of all, sorted by time; rows of one time stay in the order of the file."""
    if not blocks:
        return {}
    names = dict.fromkeys(name for block in blocks for name in block)
    whole = {name: np.concatenate([block[name] for block in blocks]) for name in names}
    order = time_order(whole["time_ns"])
    return whole if order is None else {name: values[order] for name, values in whole.items()}


def to_table(table: str, block: Block, names: list[bytes], states: StateNames | None = None) -> pa.Table:
    """An Arrow table with exactly the columns of its schema; a column that the kernel does not give is null."""
    schema = SCHEMAS[table]
    rows = len(block["time_ns"]) if block else 0
    texts = [to_text(name) for name in names]
    columns = [_column(field, block, rows, texts, states) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(field: pa.Field, block: Block, rows: int, texts: list[str], states: StateNames | None) -> pa.Array:
    values: Array | None = block.get(field.name)
    if values is None:
        return pa.nulls(rows, field.type) if rows else pa.array([], field.type)
    if field.name == "prev_state" and states:
        return dictionary_column(*states.encode(values))
    if field.type == _TEXT:
        return dictionary_column(values, texts)
    return pa.array(values, field.type)

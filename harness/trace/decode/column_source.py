"""Where each column of an event comes from: the field of the recording's own format, and how it is encoded."""

from __future__ import annotations

from typing import NamedTuple

from harness.errors import TraceError
from harness.trace.tracepoint.format import Field, TracepointFormat
from harness.trace.tracepoint.sched_events import BOOL, COMM, STATE, TEXT, Column, Event

# In the order of `enum encoding` in native/decoder.h.
ENCODINGS = INTEGER, TRUTH, TASK_NAME, LOCATED_TASK_NAME, LOCATED_TEXT, CONSTANT, PREV_STATE = (
    "integer", "truth", "task name", "located task name", "located text", "constant", "prev_state",
)  # fmt: skip
_SIZES = {"int": (1, 2, 4, 8), "loc": (4,), "chars": range(1, 1 << 16)}


class ColumnSource(NamedTuple):
    """The source of one column: the column's name and type (as in numpy), and the field's encoding (of ENCODINGS).

    `offset` and `size` are in bytes of the raw data. A constant has its `text` instead.
    """

    name: str
    dtype: str
    encoding: str
    offset: int = 0
    size: int = 0
    signed: bool = False
    text: str = ""


def column_sources(event: Event, tracepoint: TracepointFormat) -> list[ColumnSource]:
    """List the sources of an event's columns, in the order of its table.

    Raises TraceError where the format lacks a field that is needed.
    """
    columns = [column for column in event.columns if column.field in tracepoint.fields or not column.optional]
    constants = [ColumnSource(name, "i4", CONSTANT, text=text) for name, text in event.constants.items()]
    return [_source(tracepoint, column) for column in columns] + constants


def _source(tracepoint: TracepointFormat, column: Column) -> ColumnSource:
    if column.dtype == TEXT:
        return _of_field(column.name, "i4", LOCATED_TEXT, _field(tracepoint, column.field, "loc"))
    if column.dtype == COMM:
        field = _field(tracepoint, column.field, "chars", "loc")
        return _of_field(column.name, "i4", LOCATED_TASK_NAME if field.kind == "loc" else TASK_NAME, field)
    field = _field(tracepoint, column.field, "int")
    if column.dtype == STATE:
        return _of_field(column.name, "i4", PREV_STATE, field)
    return _of_field(column.name, column.dtype, TRUTH if column.dtype == BOOL else INTEGER, field)


def _of_field(name: str, dtype: str, encoding: str, field: Field) -> ColumnSource:
    return ColumnSource(name, dtype, encoding, field.offset, field.size, field.signed)


def _field(tracepoint: TracepointFormat, name: str, *kinds: str) -> Field:
    """Return a field of a format. TraceError where the format lacks it or has it in another form."""
    field = tracepoint.fields.get(name)
    if field is None or field.kind not in kinds or field.size not in _SIZES[field.kind]:
        actual = f"{field.kind} of {field.size} bytes" if field else "nothing"
        raise TraceError(
            f"the event {tracepoint.system}:{tracepoint.name} has {actual} as its field {name!r}",
            expected=f"{' or '.join(kinds)}, as in every kernel so far",
            hint="record again; if the kernel is a new one, its format file shows what has changed",
        )
    return field

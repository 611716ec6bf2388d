"""How each column of an event is made, by the format of the recording at hand: what the decoders follow."""

from __future__ import annotations

from typing import NamedTuple

from harness.errors import TraceError
from harness.trace.tracepoint.format import Field, TracepointFormat
from harness.trace.tracepoint.sched_events import BOOL, COMM, STATE, TEXT, Column, Event

# In the order of `enum how` in native/decoder.h.
WAYS = INTEGER, TRUTH, TASK_NAME, LOCATED_TASK_NAME, LOCATED_TEXT, CONSTANT, NUMBERED_STATE = (
    "integer", "truth", "task name", "located task name", "located text", "constant", "state",
)  # fmt: skip
_SIZES = {"int": (1, 2, 4, 8), "loc": (4,), "chars": range(1, 1 << 16)}


class Step(NamedTuple):
    """One column: its name and numpy type, how it is made (one of WAYS), and the field it is made of.

    `offset` and `size` are in bytes of the raw data. A constant has its `text` instead.
    """

    name: str
    dtype: str
    how: str
    offset: int = 0
    size: int = 0
    signed: bool = False
    text: str = ""


def steps(event: Event, form: TracepointFormat) -> list[Step]:
    """The columns of an event, in the order of its table. TraceError where the format lacks a field that is needed."""
    made = [_step(form, column) for column in event.columns if column.field in form.fields or not column.optional]
    return made + [Step(name, "i4", CONSTANT, text=text) for name, text in event.constants.items()]


def _step(form: TracepointFormat, column: Column) -> Step:
    if column.dtype == TEXT:
        return _from(column.name, "i4", LOCATED_TEXT, _place(form, column.field, "loc"))
    if column.dtype == COMM:
        place = _place(form, column.field, "chars", "loc")
        return _from(column.name, "i4", LOCATED_TASK_NAME if place.kind == "loc" else TASK_NAME, place)
    place = _place(form, column.field, "int")
    if column.dtype == STATE:
        return _from(column.name, "i4", NUMBERED_STATE, place)
    return _from(column.name, column.dtype, TRUTH if column.dtype == BOOL else INTEGER, place)


def _from(name: str, dtype: str, how: str, place: Field) -> Step:
    return Step(name, dtype, how, place.offset, place.size, place.signed)


def _place(form: TracepointFormat, field: str, *kinds: str) -> Field:
    """Where a field lies. TraceError where the format lacks it, or has something else under its name."""
    place = form.fields.get(field)
    if place is None or place.kind not in kinds or place.size not in _SIZES[place.kind]:
        found = f"{place.kind} of {place.size} bytes" if place else "nothing"
        raise TraceError(
            f"the event {form.system}:{form.name} has {found} as its field {field!r}",
            expected=f"{' or '.join(kinds)}, as in every kernel so far",
            hint="record again; if the kernel is a new one, its format file shows what has changed",
        )
    return place

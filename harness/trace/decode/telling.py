"""Tells a decoder in C what the header of a recording says about its samples and events."""

from __future__ import annotations

from ctypes import c_int32, c_uint64
from dataclasses import dataclass, field
from typing import Any

from harness.errors import TraceError
from harness.trace.decode.column_source import CONSTANT, WAYS, Step, steps
from harness.trace.decode.decoder import Layouts, event_of
from harness.trace.perf_data.attr import is_grouped, read_words
from harness.trace.perf_data.header import Header
from harness.trace.tracepoint.format import TracepointFormat
from harness.trace.tracepoint.sched_events import EVENTS, Event

TABLES = list(dict.fromkeys(event.table for event in EVENTS.values()))  # a decoder knows them by number
WIDTHS = {"?": 1, "i2": 2, "i4": 4, "i8": 8}  # bytes of numpy types
_NO_TABLE, _REFUSED_TABLE = -1, -2


@dataclass
class Told:
    """What a decoder was told: columns by table (name and numpy type; no name: hidden), and formats, by number.

    `refusals` are of formats that lack a field, to be raised when a row of theirs is met.
    """

    columns: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    forms: list[TracepointFormat] = field(default_factory=list)
    refusals: dict[int, TraceError] = field(default_factory=dict)


def tell(native: Any, decoder: int, header: Header, layouts: Layouts, has_parts: bool) -> Told:
    """Tell it everything. `has_parts`: the recording is of several files."""
    return _Teller(native, decoder, has_parts).tell(header, layouts)


class _Teller:
    def __init__(self, native: Any, decoder: int, has_parts: bool) -> None:
        self.native, self.decoder, self.has_parts, self.told = native, decoder, has_parts, Told()

    def tell(self, header: Header, layouts: Layouts) -> Told:
        ids = sorted(header.ids)
        places = [header.ids[number] for number in ids]
        self._call("decoder_ids", (c_uint64 * len(ids))(*ids), (c_int32 * len(ids))(*places), len(ids))
        self._layouts(header, layouts)
        for form in layouts.formats.values():
            self._format(form, event_of(form))
        return self.told

    def _layouts(self, header: Header, found: Layouts) -> None:
        for attr, place, group in zip(header.attrs, found.places, found.groups, strict=True):
            base = read_words(attr, 0) if is_grouped(attr) else read_words(attr)
            each = read_words(attr, 1) - read_words(attr, 0) if is_grouped(attr) else 0
            self._call(
                "decoder_layout", group, _or_minus(place.time), _or_minus(place.cpu), place.tail, int(place.has_read),
                base, each, int(place.has_callchain),
            )  # fmt: skip

    def _format(self, form: TracepointFormat, event: Event | None) -> None:
        plan: list[Step] = []
        table = _NO_TABLE
        try:
            if event:
                plan = steps(event, form)
                table = self._table(event.table, plan)
        except TraceError as error:
            self.told.refusals[len(self.told.forms)], table = error, _REFUSED_TABLE
        self._call("decoder_format", form.id, form.end, table)
        self.told.forms.append(form)
        for step in plan:
            self._step(self.told.columns[TABLES[table]], step)

    def _table(self, name: str, plan: list[Step]) -> int:
        number = TABLES.index(name)
        if name not in self.told.columns:
            columns = [(step.name, step.dtype) for step in plan]
            widths = (c_int32 * len(columns))(*(WIDTHS[dtype] for _, dtype in columns))
            self._call("decoder_table", number, widths, len(columns), int(self.has_parts))
            part = [("", "i4")] if self.has_parts else []
            self.told.columns[name] = [("time_ns", "i8"), ("cpu", "i2"), *part, *columns]
        return number

    def _step(self, columns: list[tuple[str, str]], step: Step) -> None:
        offset = step.offset
        if step.how == CONSTANT:
            text = step.text.encode()
            offset = self.native.decoder_name(self.decoder, text, len(text))
        column = columns.index((step.name, step.dtype))
        self._call("decoder_step", WAYS.index(step.how), column, offset, step.size, int(step.signed))

    def _call(self, function: str, *arguments: Any) -> None:
        answer = getattr(self.native, function)(self.decoder, *arguments)
        if answer == -1:
            raise MemoryError(f"{function}: no room")
        if answer:
            raise ValueError(f"{function}{arguments} was refused")


def _or_minus(offset: int | None) -> int:
    return -1 if offset is None else offset

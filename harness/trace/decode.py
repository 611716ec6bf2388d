"""Decodes the samples of a stream, buffer by buffer, into columns of plain numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from harness.errors import TraceError
from harness.trace.attr import RAW, TIME, TYPE_TRACEPOINT, Attr, layout
from harness.trace.comms import COMM_BYTES, Names, keep
from harness.trace.events import COMM, EVENTS, TEXT, Column, Event
from harness.trace.format import Field, TraceFormat
from harness.trace.gather import Array, column, gather_rows
from harness.trace.header import Header
from harness.trace.ids import Ids
from harness.trace.samples import HEAD_MORE, Samples, locate
from harness.trace.stream import Hints

Block = dict[str, Array]  # columns of equal length, in file order; task names as numbers


@dataclass
class Decoder:
    """Turns samples into blocks per table. Task names get one numbering for the whole recording.

    `counts` has the samples per event; `bad` those that could not be decoded.
    """

    header: Header
    names: Names = field(default_factory=Names)
    counts: Counter[str] = field(default_factory=Counter)
    bad: int = 0

    def __post_init__(self) -> None:
        self.order = "<" if self.header.little else ">"
        self.places = [layout(attr) for attr in self.header.attrs]
        self.ids = Ids(self.header.ids)
        self.formats = self.header.tracing.formats if self.header.tracing else {}
        offsets = {place.id for place in self.places}
        self.id_offset = offsets.pop() if len(offsets) == 1 else None
        self.hints = Hints(self.ids, self.id_offset)
        self.time_offset = next((place.time for place in self.places if place.time), 8)
        self.head_bytes = max((place.tail for place in self.places), default=8) + HEAD_MORE
        self._groups = _groups(self.header.attrs)

    def heads(self, buffer: Array, samples: Array) -> Array:
        """The first bytes of the samples at byte addresses `samples`, up to the common_type of the usual layout."""
        return gather_rows(buffer, samples, self.head_bytes)

    def times(self, heads: Array) -> Array:
        """The times (ns) of samples, from their first bytes."""
        return column(heads, self.order + "i8", self.time_offset).astype(np.int64)

    def decode(self, buffer: Array, samples: Array, heads: Array) -> dict[str, list[Block]]:
        """The rows of the samples at byte addresses `samples`, by table. Unknown events are counted only."""
        tables: dict[str, list[Block]] = {}
        for attr, chosen in self._by_layout(heads):
            at, head = (samples, heads) if chosen is None else (samples[chosen], heads[chosen])
            found = locate(buffer, at, head, attr, self.order)
            self.bad += found.dropped
            for form, part in self._by_format(found):
                event = EVENTS.get(form.name) if form.system == "sched" else None
                self.counts[f"{form.system}:{form.name}"] += len(part.raw_at)
                if event and len(part.raw_at):
                    tables.setdefault(event.table, []).append(self._block(buffer, event, form, part))
        return tables

    def _by_layout(self, heads: Array) -> list[tuple[Attr, Array | None]]:
        """The samples that carry tracepoint data, by the layout they share, with an attr of it; None means all."""
        attrs = self.header.attrs
        if self.id_offset is None or not len(self.ids.known):
            return [(attrs[0], None)] if _has_tracepoint(attrs[0]) else self._count_foreign(0, len(heads))
        places = self.ids.places(column(heads, self.order + "u8", self.id_offset))
        groups = self._groups[places]
        if len(groups) and groups[0] >= 0 and (groups == groups[0]).all():
            return [(attrs[int(groups[0])], None)]
        self.bad += int((places < 0).sum())
        for place in np.flatnonzero(np.bincount(places[(groups < 0) & (places >= 0)])).tolist():
            self._count_foreign(place, int((places == place).sum()))
        return [(attrs[group], groups == group) for group in np.unique(groups[groups >= 0]).tolist()]

    def _count_foreign(self, place: int, number: int) -> list[tuple[Attr, Array | None]]:
        self.counts[self.header.names.get(place, f"event {place}")] += number
        return []

    def _by_format(self, found: Samples) -> list[tuple[TraceFormat, Samples]]:
        """Told apart by common_type, the first two bytes of the raw data."""
        parts = []
        for kind in np.flatnonzero(np.bincount(found.kind)).tolist():
            form, part = self.formats.get(kind), found.only(np.flatnonzero(found.kind == kind))
            whole = part.raw_size >= (form.end if form else 1 << 16)
            if not whole.all():
                self.bad += int((~whole).sum())
                part = part.only(whole)
            if form is not None:
                parts.append((form, part))
        return parts

    def _block(self, buffer: Array, event: Event, form: TraceFormat, found: Samples) -> Block:
        rows = gather_rows(buffer, found.raw_at, form.end)
        block: Block = {"time_ns": found.time_ns, "cpu": found.cpu}
        for wanted in event.columns:
            if wanted.field in form.fields or not wanted.optional:
                block[wanted.name] = self._column(buffer, rows, found, form, wanted)
        for name, text in event.constants.items():
            block[name] = np.full(len(rows), self.names.number(text.encode()), np.int32)
        return block

    def _column(self, buffer: Array, rows: Array, found: Samples, form: TraceFormat, wanted: Column) -> Array:
        if wanted.dtype == TEXT:
            return self._texts(buffer, rows, found, _place(form, wanted.field, "loc"))
        if wanted.dtype != COMM:
            return self._integers(rows, form, wanted.field).astype(wanted.dtype)
        place, tids = _place(form, wanted.field, "chars", "loc"), self._integers(rows, form, wanted.tid_field)
        if place.kind == "loc":
            return self.names.encode(self._located(buffer, rows, found, place), tids)
        if place.size == COMM_BYTES:
            return self.names.encode(rows[:, place.offset : place.end], tids)
        wide = np.zeros((len(rows), COMM_BYTES), np.uint8)
        width = min(place.size, COMM_BYTES)
        wide[:, :width] = rows[:, place.offset : place.offset + width]
        return self.names.encode(wide, tids)

    def _integers(self, rows: Array, form: TraceFormat, field: str) -> Array:
        place = _place(form, field, "int")
        return column(rows, f"{self.order}{'i' if place.signed else 'u'}{place.size}", place.offset)

    def _located(self, buffer: Array, rows: Array, found: Samples, place: Field) -> Array:
        """Names that lie behind the fixed fields, at (length << 16 | offset) from the start of the raw data."""
        at, lengths = self._spans(rows, found, place, COMM_BYTES)
        return keep(gather_rows(buffer, at, COMM_BYTES), lengths)

    def _spans(self, rows: Array, found: Samples, place: Field, longest: int) -> tuple[Array, Array]:
        """Byte addresses and lengths of located bytes; those that cannot be are counted as bad and given as empty."""
        words = column(rows, self.order + "u4", place.offset)
        offsets, lengths = (words & 0xFFFF).astype(np.int64), (words >> 16).astype(np.int64)
        inside = (offsets + lengths <= found.raw_size) & (lengths <= longest)
        self.bad += int((~inside).sum())
        return found.raw_at + np.where(inside, offsets, 0), np.where(inside, lengths, 0)

    def _texts(self, buffer: Array, rows: Array, found: Samples, place: Field) -> Array:
        """Bytes of any length, one by one: only execs have such, and they are few."""
        at, lengths = self._spans(rows, found, place, 0xFFFF)
        spans = zip(at.tolist(), lengths.tolist(), strict=True)
        whole = [buffer[start : start + length].tobytes().split(b"\0", 1)[0] for start, length in spans]
        return np.array([self.names.number(text) for text in whole], np.int32)


def _place(form: TraceFormat, field: str, *kinds: str) -> Field:
    """Where a field lies. TraceError where the format lacks it, or has something else under its name."""
    place = form.fields.get(field)
    sizes = {"int": (1, 2, 4, 8), "loc": (4,), "chars": range(1, 1 << 16)}
    if place is None or place.kind not in kinds or place.size not in sizes[place.kind]:
        found = f"{place.kind} of {place.size} bytes" if place else "nothing"
        raise TraceError(
            f"the event {form.system}:{form.name} has {found} as its field {field!r}",
            expected=f"{' or '.join(kinds)}, as in every kernel so far",
            hint="record again; if the kernel is a new one, its format file shows what has changed",
        )
    return place


def _has_tracepoint(attr: Attr) -> bool:
    wanted = RAW | TIME
    return attr.type == TYPE_TRACEPOINT and attr.sample_type & wanted == wanted


def _groups(attrs: list[Attr]) -> Array:
    """For each attr the first one with the same layout; -1 for one without tracepoint data, and for an unknown id."""
    firsts: dict[tuple[int, int], int] = {}
    groups = [
        firsts.setdefault((attr.sample_type, attr.read_format), place) if _has_tracepoint(attr) else -1
        for place, attr in enumerate(attrs)
    ]
    return np.array([*groups, -1], dtype=np.int32)

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
from harness.trace.gather import Array, column, gather, gather_rows
from harness.trace.header import Header
from harness.trace.samples import Samples, locate
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
        known = sorted(self.header.ids)
        self.known_ids = np.array(known, dtype=np.uint64)
        self.id_places = np.array([self.header.ids[number] for number in known], dtype=np.int32)
        self.formats = self.header.tracing.formats if self.header.tracing else {}
        offsets = {place.id for place in self.places}
        self.id_offset = offsets.pop() if len(offsets) == 1 else None
        self.hints = Hints(self.known_ids, self.id_offset)

    def decode(self, buffer: Array, samples: Array) -> dict[str, list[Block]]:
        """The rows of the samples at byte addresses `samples`, by table. Unknown events are counted only."""
        tables: dict[str, list[Block]] = {}
        for attr, at in self._by_attr(buffer, samples):
            found = locate(buffer, at, attr, self.order)
            self.bad += found.dropped
            for form, part in self._by_format(buffer, attr, found):
                event = EVENTS.get(form.name) if form.system == "sched" else None
                self.counts[f"{form.system}:{form.name}"] += len(part.raw_at)
                if event and len(part.raw_at):
                    tables.setdefault(event.table, []).append(self._block(buffer, event, form, part))
        return tables

    def _by_attr(self, buffer: Array, samples: Array) -> list[tuple[Attr, Array]]:
        """The samples of each attr that carries tracepoint data."""
        attrs = self.header.attrs
        if self.id_offset is None or not len(self.known_ids):
            return [(attrs[0], samples)] if self._has_tracepoint(0) else self._count_foreign(0, len(samples))
        sizes = gather(buffer, samples, self.order + "u2", 6)
        fits = sizes >= self.id_offset + 8
        self.bad += int((~fits).sum())
        samples = samples[fits]
        ids = gather(buffer, samples, self.order + "u8", self.id_offset)
        found = np.minimum(np.searchsorted(self.known_ids, ids), len(self.known_ids) - 1)
        places = np.where(self.known_ids[found] == ids, self.id_places[found], -1)
        groups = []
        for place in np.flatnonzero(np.bincount(places + 1)) - 1:
            chosen = samples[places == place]
            if place < 0:
                self.bad += len(chosen)
            elif self._has_tracepoint(int(place)):
                groups.append((attrs[place], chosen))
            else:
                self._count_foreign(int(place), len(chosen))
        return groups

    def _has_tracepoint(self, place: int) -> bool:
        attr = self.header.attrs[place]
        wanted = RAW | TIME
        return attr.type == TYPE_TRACEPOINT and attr.sample_type & wanted == wanted

    def _count_foreign(self, place: int, number: int) -> list[tuple[Attr, Array]]:
        self.counts[self.header.names.get(place, f"event {place}")] += number
        return []

    def _by_format(self, buffer: Array, attr: Attr, found: Samples) -> list[tuple[TraceFormat, Samples]]:
        """Told apart by common_type, the first two bytes of the raw data; one event may stand for all."""
        kinds = gather(buffer, found.raw_at, self.order + "u2")
        parts = []
        for kind in np.flatnonzero(np.bincount(kinds)).tolist():
            form = self.formats.get(kind)
            here = kinds == kind
            if form is None:
                self.bad += int(here.sum())
                continue
            whole = here & (found.raw_size >= form.end)
            self.bad += int(here.sum() - whole.sum())
            parts.append((form, found if whole.all() else _choose(found, whole)))
        return parts

    def _block(self, buffer: Array, event: Event, form: TraceFormat, found: Samples) -> Block:
        rows = gather_rows(buffer, found.raw_at, form.end)
        block: Block = {"time_ns": found.time_ns, "cpu": found.cpu}
        for wanted in event.columns:
            place = form.fields.get(wanted.field)
            if place is not None:
                block[wanted.name] = self._column(buffer, rows, found, wanted, place)
            elif not wanted.optional:
                raise TraceError(
                    f"the event sched:{event.name} has no field {wanted.field!r}",
                    expected=f"fields {', '.join(form.fields)} and this one",
                    hint="this kernel's scheduler events are not known yet; report its format file",
                )
        for name, text in event.constants.items():
            block[name] = np.full(len(rows), self.names.number(text.encode()), np.int32)
        return block

    def _column(self, buffer: Array, rows: Array, found: Samples, wanted: Column, place: Field) -> Array:
        if wanted.dtype == TEXT:
            return self._texts(buffer, rows, found, place)
        if wanted.dtype != COMM:
            return column(rows, f"{self.order}{'i' if place.signed else 'u'}{place.size}", place.offset).astype(
                wanted.dtype
            )
        if place.kind == "loc":
            return self.names.encode(self._located(buffer, rows, found, place))
        wide = np.zeros((len(rows), COMM_BYTES), np.uint8)
        width = min(place.size, COMM_BYTES)
        wide[:, :width] = rows[:, place.offset : place.offset + width]
        return self.names.encode(wide)

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


def _choose(found: Samples, chosen: Array) -> Samples:
    return Samples(found.time_ns[chosen], found.cpu[chosen], found.raw_at[chosen], found.raw_size[chosen], 0)

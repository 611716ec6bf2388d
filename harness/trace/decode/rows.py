"""Decodes the samples of a stream with numpy, buffer by buffer, into columns of plain numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np

from harness.trace.decode.column_source import (
    CONSTANT,
    LOCATED_TASK_NAME,
    LOCATED_TEXT,
    NUMBERED_STATE,
    TASK_NAME,
    Step,
    steps,
)
from harness.trace.decode.decoder import Block, event_of, layouts
from harness.trace.decode.gather import Array, column, gather_rows
from harness.trace.decode.ids import Ids
from harness.trace.decode.numbering import Numbers
from harness.trace.decode.samples import HEAD_MORE, Samples, locate
from harness.trace.perf_data.attr import Attr
from harness.trace.perf_data.header import Header
from harness.trace.tracepoint.comm import COMM_BYTES, Names, keep
from harness.trace.tracepoint.format import TracepointFormat


class Decoder:
    """Turns samples into blocks per table. Task names get one numbering for the whole recording, and so do states.

    `counts` has the samples per event; `bad` those that could not be decoded.
    """

    def __init__(self, header: Header) -> None:
        self.header, self.layouts = header, layouts(header)
        self.names, self.states = Names(), Numbers()
        self.counts: Counter[str] = Counter()
        self.bad = 0
        self.order = "<" if header.little else ">"
        self.ids = Ids(header.ids)
        self.id_offset = self.layouts.id_offset
        self.head_bytes = max(place.tail for place in self.layouts.places) + HEAD_MORE
        self._groups = np.array([*self.layouts.groups, -1], dtype=np.int32)
        self._plans: dict[int, list[Step]] = {}

    def heads(self, buffer: Array, samples: Array) -> Array:
        """The first bytes of the samples at byte addresses `samples`, up to the common_type of the usual layout."""
        return gather_rows(buffer, samples, self.head_bytes)

    def times(self, heads: Array) -> Array:
        """The times (ns) of samples, from their first bytes."""
        return column(heads, self.order + "i8", self.layouts.time_offset).astype(np.int64)

    def decode(self, buffer: Array, samples: Array, heads: Array) -> dict[str, Block]:
        """The rows of the samples at byte addresses `samples`, by table, in the order of the file.

        Unknown events are counted only. TraceError where a format lacks a field that is needed.
        """
        found: dict[str, list[tuple[Array, Block]]] = {}
        for attr, chosen in self._by_layout(heads):
            at, head = (samples, heads) if chosen is None else (samples[chosen], heads[chosen])
            located = locate(buffer, at, head, attr, self.order)
            self.bad += located.dropped
            for form, part in self._by_format(located):
                self.counts[f"{form.system}:{form.name}"] += len(part.raw_at)
                if event := event_of(form):
                    found.setdefault(event.table, []).append((part.raw_at, self._block(buffer, form, part)))
        return {table: _in_file_order(parts) for table, parts in found.items()}

    def _by_layout(self, heads: Array) -> list[tuple[Attr, Array | None]]:
        """The samples that carry tracepoint data, by the layout they share, with an attr of it; None means all."""
        attrs = self.header.attrs
        if self.id_offset is None:
            return [(attrs[0], None)] if self._groups[0] == 0 else self._count_foreign(0, len(heads))
        places = self.ids.places(column(heads, self.order + "u8", self.id_offset))
        groups = self._groups[places]
        if len(groups) and groups[0] >= 0 and (groups == groups[0]).all():
            return [(attrs[int(groups[0])], None)]
        self.bad += int((places < 0).sum())
        for place in np.flatnonzero(np.bincount(places[(groups < 0) & (places >= 0)])).tolist():
            self._count_foreign(place, int((places == place).sum()))
        return [(attrs[group], groups == group) for group in np.unique(groups[groups >= 0]).tolist()]

    def _count_foreign(self, place: int, number: int) -> list[tuple[Attr, Array | None]]:
        if number:
            self.counts[self.layouts.foreign_name(self.header, place)] += number
        return []

    def _by_format(self, found: Samples) -> list[tuple[TracepointFormat, Samples]]:
        """Told apart by common_type, the first two bytes of the raw data."""
        parts = []
        for kind in np.flatnonzero(np.bincount(found.kind)).tolist():
            form, part = self.layouts.formats.get(kind), found.only(np.flatnonzero(found.kind == kind))
            whole = part.raw_size >= (form.end if form else 1 << 16)
            if not whole.all():
                self.bad += int((~whole).sum())
                part = part.only(whole)
            if form is not None and len(part.raw_at):
                parts.append((form, part))
        return parts

    def _block(self, buffer: Array, form: TracepointFormat, found: Samples) -> Block:
        rows = gather_rows(buffer, found.raw_at, form.end)
        block: Block = {"time_ns": found.time_ns, "cpu": found.cpu}
        for step in self._plan(form):
            block[step.name] = self._column(buffer, rows, found, step)
        return block

    def _plan(self, form: TracepointFormat) -> list[Step]:
        event = event_of(form)
        if event and form.id not in self._plans:
            self._plans[form.id] = steps(event, form)
        return self._plans[form.id]

    def _column(self, buffer: Array, rows: Array, found: Samples, step: Step) -> Array:
        if step.how == CONSTANT:
            return np.full(len(rows), self.names.number(step.text.encode()), np.int32)
        if step.how == LOCATED_TEXT:
            return self._texts(buffer, rows, found, step)
        if step.how == LOCATED_TASK_NAME:
            at, lengths = self._spans(rows, found, step, COMM_BYTES)
            return self.names.encode(keep(gather_rows(buffer, at, COMM_BYTES), lengths))
        if step.how == TASK_NAME:
            return self.names.encode(_sixteen(rows, step))
        values = column(rows, f"{self.order}{'i' if step.signed else 'u'}{step.size}", step.offset)
        return self.states.encode(values.astype(np.int64)) if step.how == NUMBERED_STATE else values.astype(step.dtype)

    def _spans(self, rows: Array, found: Samples, step: Step, longest: int) -> tuple[Array, Array]:
        """Byte addresses and lengths of located bytes, at (length << 16 | offset) from the start of the raw data.

        Those that cannot be are counted as bad and given as empty.
        """
        words = column(rows, self.order + "u4", step.offset)
        offsets, lengths = (words & 0xFFFF).astype(np.int64), (words >> 16).astype(np.int64)
        inside = (offsets + lengths <= found.raw_size) & (lengths <= longest)
        self.bad += int((~inside).sum())
        return found.raw_at + np.where(inside, offsets, 0), np.where(inside, lengths, 0)

    def _texts(self, buffer: Array, rows: Array, found: Samples, step: Step) -> Array:
        """Bytes of any length, one by one: only execs have such, and they are few."""
        at, lengths = self._spans(rows, found, step, 0xFFFF)
        spans = zip(at.tolist(), lengths.tolist(), strict=True)
        whole = [buffer[start : start + length].tobytes().split(b"\0", 1)[0] for start, length in spans]
        return np.array([self.names.number(text) for text in whole], np.int32)


def _sixteen(rows: Array, step: Step) -> Array:
    """The bytes of a task name, cut or filled up with zeros to 16."""
    if step.size == COMM_BYTES:
        return rows[:, step.offset : step.offset + step.size]
    wide = np.zeros((len(rows), COMM_BYTES), np.uint8)
    width = min(step.size, COMM_BYTES)
    wide[:, :width] = rows[:, step.offset : step.offset + width]
    return wide


def _in_file_order(parts: list[tuple[Array, Block]]) -> Block:
    """One block of several kinds of events, by the address they were found at."""
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([at for at, _ in parts]), kind="stable")
    return {name: np.concatenate([block[name] for _, block in parts])[order] for name in parts[0][1]}

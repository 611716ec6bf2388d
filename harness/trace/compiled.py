"""The engine in C: tells it what the header of a recording says, and hands its columns over."""

from __future__ import annotations

import ctypes
import itertools
import sys
import weakref
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_int16, c_int32, c_int64, c_uint64, c_void_p
from typing import Any

from harness.errors import TraceError
from harness.trace.attr import is_grouped, read_words
from harness.trace.engine import NEVER, Block, Layouts, Seen, event_of, layouts
from harness.trace.events import EVENTS
from harness.trace.format import TraceFormat
from harness.trace.header import Header
from harness.trace.native import Signatures, functions
from harness.trace.plan import CONSTANT, WAYS, Step, steps

_NO_TABLE, _REFUSED_TABLE = -1, -2
_WIDTHS = {"?": 1, "i2": 2, "i4": 4, "i8": 8}
_STOPPED = ("", "cut", "apart", "broken")  # in the order of `enum stopped`
_CPUS = 1 << 16
_TABLES = list(dict.fromkeys(event.table for event in EVENTS.values()))


class _Counted(ctypes.Structure):
    """`struct counted` of native/decoder.h."""

    _fields_ = [
        (name, c_int64)
        for name in (
            "samples", "inversions", "bad", "has_times", "first", "last", "earliest", "lost", "lost_samples",
            "stopped", "refused", "failed",
        )
    ]  # fmt: skip


_FUNCTIONS: Signatures = {
    "decoder_new": (c_void_p, [c_int32, c_int64, c_int64]),
    "decoder_free": (None, [c_void_p]),
    "decoder_ids": (c_int, [c_void_p, c_void_p, c_void_p, c_int64]),
    "decoder_layout": (c_int, [c_void_p] + [c_int32] * 8),
    "decoder_table": (c_int, [c_void_p, c_int32, c_void_p, c_int32, c_int32]),
    "decoder_format": (c_int, [c_void_p] + [c_int32] * 3),
    "decoder_step": (c_int, [c_void_p] + [c_int32] * 5),
    "decoder_counts_only": (None, [c_void_p]),
    "decoder_part": (None, [c_void_p, c_int32]),
    "decoder_counted": (POINTER(_Counted), [c_void_p]),
    "decoder_seen": (None, [c_void_p, c_void_p, c_void_p]),
    "decoder_name": (c_int32, [c_void_p, c_char_p, c_int64]),
    "decoder_names": (c_int32, [c_void_p, c_int32, c_void_p, c_void_p]),
    "decoder_take": (c_int64, [c_void_p, c_void_p, c_int64]),
    "decoder_sort": (c_int, [c_void_p]),
    "decoder_rows": (c_int64, [c_void_p, c_int32]),
    "decoder_column": (c_void_p, [c_void_p, c_int32, c_int32]),
    "decoder_before": (c_int64, [c_void_p, c_int32, c_int64]),
    "decoder_drop": (None, [c_void_p, c_int32, c_int64]),
    "chain_cpus": (None, [c_void_p, c_int64, c_void_p]),
    "chain_breaks": (c_int64, [c_void_p, c_void_p, c_void_p, c_int64, c_void_p]),
    "chain_met": (c_int32, [c_void_p, c_void_p]),
}


def native() -> Any:
    """The functions this engine needs; None where there is no compiled code."""
    return functions(_FUNCTIONS)


class Compiled:
    """An `engine.Engine` in C. The columns it hands over are its own memory, which lives as long as they do."""

    def __init__(self, native: Any, header: Header, parts: int = 1, counts_only: bool = False) -> None:
        self._native, self._header, self._layouts = native, header, layouts(header)
        self._id = native.decoder_new(
            int(header.little != (sys.byteorder == "little")),
            self._layouts.time_offset,
            _or_minus(self._layouts.id_offset),
        )
        if not self._id:
            raise MemoryError("no room for a decoder")
        weakref.finalize(self, native.decoder_free, self._id)
        self._counted = native.decoder_counted(self._id).contents
        self._columns: dict[str, list[tuple[str, str]]] = {}  # name and numpy type, in the order of the decoder's
        self._refusals: dict[int, TraceError] = {}
        self._forms: list[TraceFormat] = []
        self._running, self._breaks = (c_int64 * _CPUS)(), 0
        self._tell(parts > 1)
        if counts_only:
            native.decoder_counts_only(self._id)

    @property
    def earliest_ns(self) -> int:
        """The earliest time in the last buffer."""
        return int(self._counted.earliest)

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return sum(self._native.decoder_rows(self._id, place) for place in range(len(_TABLES)))

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """See `Engine.take`."""
        held = c_char.from_buffer(buffer)
        at = self._native.decoder_take(self._id, ctypes.addressof(held), size)
        if self._counted.failed:
            raise MemoryError(f"no room for {self.rows} rows")
        if self._counted.refused >= 0:
            raise self._refusals[self._counted.refused]
        return at, _STOPPED[self._counted.stopped]

    def enter(self, part: int) -> None:
        """See `Engine.enter`."""
        self._native.decoder_part(self._id, part)

    def finish(self) -> None:
        """See `Engine.finish`."""
        self._sort()
        for table in self._columns:
            self._follow(table, self._rows(table))

    def block(self, table: str) -> Block:
        """See `Engine.block`."""
        return self._block(table, self._rows(table))

    def release(self, limit_ns: int) -> dict[str, Block]:
        """See `Engine.release`."""
        self._sort()
        given = {}
        for table in self._columns:
            cut = self._rows(table)
            if limit_ns != NEVER:
                cut = self._native.decoder_before(self._id, _TABLES.index(table), limit_ns)
            if cut:
                self._follow(table, cut)
                given[table] = {name: values.copy() for name, values in self._block(table, cut).items()}
                self._native.decoder_drop(self._id, _TABLES.index(table), cut)
        return given

    def seen(self) -> Seen:
        """See `Engine.seen`."""
        counted, cpus = self._counted, (c_int16 * _CPUS)()
        met = self._native.chain_met(self._running, cpus)
        return Seen(
            samples=counted.samples,
            inversions=counted.inversions,
            first_ns=counted.first,
            last_ns=counted.last,
            lost_events=max(counted.lost, counted.lost_samples),
            bad=counted.bad,
            counts=self._counts(),
            chain_breaks=self._breaks,
            cpus=tuple(cpus[:met]),
        )

    def names(self) -> list[bytes]:
        """See `Engine.names`."""
        return self._strings(states=False)

    def states(self) -> list[int]:
        """See `Engine.states`."""
        return [int.from_bytes(raw, sys.byteorder, signed=True) for raw in self._strings(states=True)]

    def _tell(self, has_parts: bool) -> None:
        """Everything that the header says about samples and events."""
        ids = sorted(self._header.ids)
        places = [self._header.ids[number] for number in ids]
        self._check("decoder_ids", (c_uint64 * len(ids))(*ids), (c_int32 * len(ids))(*places), len(ids))
        _tell_layouts(self._check, self._header, self._layouts)
        plans = {form.id: self._plan(form) for form in self._layouts.formats.values()}
        for form in self._layouts.formats.values():
            self._tell_format(form, plans[form.id], has_parts)

    def _plan(self, form: TraceFormat) -> list[Step] | TraceError:
        event = event_of(form)
        try:
            return steps(event, form) if event else []
        except TraceError as error:
            return error

    def _tell_format(self, form: TraceFormat, plan: list[Step] | TraceError, has_parts: bool) -> None:
        if isinstance(plan, TraceError):
            self._refusals[len(self._forms)] = plan
        event, place = event_of(form), _REFUSED_TABLE if isinstance(plan, TraceError) else _NO_TABLE
        if event and not isinstance(plan, TraceError):
            place = self._tell_table(event.table, plan, has_parts)
        self._check("decoder_format", form.id, form.end, place)
        self._forms.append(form)
        for step in plan if place >= 0 and not isinstance(plan, TraceError) else ():
            self._tell_step(self._columns[_TABLES[place]], step)

    def _tell_table(self, table: str, plan: list[Step], has_parts: bool) -> int:
        place = _TABLES.index(table)
        if table not in self._columns:
            columns = [(step.name, step.dtype) for step in plan]
            widths = (c_int32 * len(columns))(*(_WIDTHS[dtype] for _, dtype in columns))
            self._check("decoder_table", place, widths, len(columns), int(has_parts))
            part = [("", "i4")] if has_parts else []
            self._columns[table] = [("time_ns", "i8"), ("cpu", "i2"), *part, *columns]
        return place

    def _tell_step(self, columns: list[tuple[str, str]], step: Step) -> None:
        offset = step.offset
        if step.how == CONSTANT:
            text = step.text.encode()
            offset = self._native.decoder_name(self._id, text, len(text))
        column = columns.index((step.name, step.dtype))
        self._check("decoder_step", WAYS.index(step.how), column, offset, step.size, int(step.signed))

    def _check(self, function: str, *arguments: Any) -> None:
        answer = getattr(self._native, function)(self._id, *arguments)
        if answer == -1:
            raise MemoryError(f"{function}: no room")
        if answer:
            raise TraceError(f"the header of the recording cannot be followed ({function}{arguments})")

    def _sort(self) -> None:
        if self._native.decoder_sort(self._id):
            raise MemoryError(f"no room to sort {self.rows} rows")

    def _follow(self, table: str, rows: int) -> None:
        """Note the CPUs of the first rows of a table, and breaks in the chain of switches."""
        cpus = self._address(table, "cpu")
        if rows:
            self._native.chain_cpus(cpus, rows, self._running)
        if rows and table == "switches":
            tids = self._address(table, "prev_tid"), self._address(table, "next_tid")
            self._breaks += self._native.chain_breaks(cpus, *tids, rows, self._running)

    def _rows(self, table: str) -> int:
        return int(self._native.decoder_rows(self._id, _TABLES.index(table)))

    def _address(self, table: str, column: str) -> int:
        place = [name for name, _ in self._columns[table]].index(column)
        return self._native.decoder_column(self._id, _TABLES.index(table), place) or 0

    def _block(self, table: str, rows: int) -> Block:
        import numpy as np

        block: Block = {}
        for name, dtype in self._columns.get(table, []) if rows else []:
            if name:
                size = rows * _WIDTHS[dtype]
                memory = (c_char * size).from_address(self._address(table, name))
                memory.owner = self  # type: ignore[attr-defined]
                block[name] = np.frombuffer(memory, dtype)  # type: ignore[call-overload]
        return block

    def _counts(self) -> dict[str, int]:
        forms, foreign = (c_int64 * len(self._forms))(), (c_int64 * len(self._layouts.places))()
        self._native.decoder_seen(self._id, forms, foreign)
        found: dict[str, int] = {}
        named = [(f"{form.system}:{form.name}", seen) for form, seen in zip(self._forms, forms, strict=True)]
        named += [(self._layouts.foreign_name(self._header, place), seen) for place, seen in enumerate(foreign)]
        for name, seen in named:
            if seen:
                found[name] = found.get(name, 0) + seen
        return found

    def _strings(self, states: bool) -> list[bytes]:
        start, ends = c_void_p(), POINTER(c_int64)()
        count = self._native.decoder_names(self._id, int(states), byref(start), byref(ends))
        if not count:
            return []
        limits = [0, *ends[:count]]
        whole = ctypes.string_at(start.value or 0, limits[-1])
        return [whole[low:high] for low, high in itertools.pairwise(limits)]


def _tell_layouts(check: Any, header: Header, found: Layouts) -> None:
    for attr, place, group in zip(header.attrs, found.places, found.groups, strict=True):
        base = read_words(attr, 0) if is_grouped(attr) else read_words(attr)
        each = read_words(attr, 1) - read_words(attr, 0) if is_grouped(attr) else 0
        check(
            "decoder_layout", group, _or_minus(place.time), _or_minus(place.cpu), place.tail, int(place.has_read), base,
            each, int(place.has_callchain),
        )  # fmt: skip


def _or_minus(offset: int | None) -> int:
    return -1 if offset is None else offset

"""The engine in C, and its columns."""

from __future__ import annotations

import ctypes
import itertools
import sys
import weakref
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_int16, c_int32, c_int64, c_void_p

from harness.trace.decode.decoder import NEVER, Block, Seen, layouts
from harness.trace.decode.telling import TABLES, WIDTHS, tell
from harness.trace.native.library import Signatures, load_functions
from harness.trace.perf_data.header import Header

_STOPPED = ("", "cut", "apart", "broken")  # in the order of `enum stopped`
_CPUS = 1 << 16


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


class Compiled:
    """An `engine.Engine` in C. The columns it hands over are its own memory, which lives as long as they do."""

    def __init__(self, header: Header, parts: int = 1, counts_only: bool = False) -> None:
        native = load_functions(_FUNCTIONS)
        self._native, self._header, self._layouts = native, header, layouts(header)
        self._id = native.decoder_new(
            int(header.little != (sys.byteorder == "little")),
            self._layouts.time_offset,
            -1 if self._layouts.id_offset is None else self._layouts.id_offset,
        )
        if not self._id:
            raise MemoryError("no room for a decoder")
        weakref.finalize(self, native.decoder_free, self._id).atexit = False  # its columns may still be in use then
        self._counted = native.decoder_counted(self._id).contents
        self._running, self._breaks = (c_int64 * _CPUS)(), 0
        self._told = tell(native, self._id, header, self._layouts, parts > 1)
        if counts_only:
            native.decoder_counts_only(self._id)

    @property
    def earliest_ns(self) -> int:
        """The earliest time in the last buffer."""
        return int(self._counted.earliest)

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return sum(self._native.decoder_rows(self._id, place) for place in range(len(TABLES)))

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """See `Engine.take`."""
        held = c_char.from_buffer(buffer)
        at = self._native.decoder_take(self._id, ctypes.addressof(held), size)
        if self._counted.failed:
            raise MemoryError(f"no room for {self.rows} rows")
        if self._counted.refused >= 0:
            raise self._told.refusals[self._counted.refused]
        return at, _STOPPED[self._counted.stopped]

    def enter(self, part: int) -> None:
        """See `Engine.enter`."""
        self._native.decoder_part(self._id, part)

    def finish(self) -> None:
        """See `Engine.finish`."""
        self._sort()
        for table in self._told.columns:
            self._follow(table, self._rows(table))

    def block(self, table: str) -> Block:
        """See `Engine.block`."""
        return self._block(table, self._rows(table))

    def release(self, limit_ns: int) -> dict[str, Block]:
        """See `Engine.release`."""
        self._sort()
        given = {}
        for table in self._told.columns:
            cut = self._rows(table)
            if limit_ns != NEVER:
                cut = self._native.decoder_before(self._id, TABLES.index(table), limit_ns)
            if cut:
                self._follow(table, cut)
                given[table] = {name: values.copy() for name, values in self._block(table, cut).items()}
                self._native.decoder_drop(self._id, TABLES.index(table), cut)
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
        return int(self._native.decoder_rows(self._id, TABLES.index(table)))

    def _address(self, table: str, column: str) -> int:
        place = [name for name, _ in self._told.columns[table]].index(column)
        return self._native.decoder_column(self._id, TABLES.index(table), place) or 0

    def _block(self, table: str, rows: int) -> Block:
        import numpy as np

        block: Block = {}
        for name, dtype in self._told.columns.get(table, []) if rows else []:
            if name:
                size = rows * WIDTHS[dtype]
                memory = (c_char * size).from_address(self._address(table, name))
                memory.owner = self  # type: ignore[attr-defined]
                block[name] = np.frombuffer(memory, dtype)  # type: ignore[call-overload]
        return block

    def _counts(self) -> dict[str, int]:
        forms, foreign = (c_int64 * len(self._told.forms))(), (c_int64 * len(self._layouts.places))()
        self._native.decoder_seen(self._id, forms, foreign)
        found: dict[str, int] = {}
        named = [(f"{form.system}:{form.name}", seen) for form, seen in zip(self._told.forms, forms, strict=True)]
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

"""Decodes the samples of a recording into columns, in C (`native/decoder.c`)."""

from __future__ import annotations

import ctypes
import itertools
import sys
import weakref
from collections.abc import Set
from ctypes import (
    POINTER,
    byref,
    c_bool,
    c_char,
    c_char_p,
    c_int,
    c_int16,
    c_int32,
    c_int64,
    c_uint64,
    c_void_p,
)  # fmt: skip
from dataclasses import dataclass, field
from typing import Any

from harness.errors import TraceError
from harness.trace.decode.column_source import CONSTANT, ENCODINGS, ColumnSource, column_sources
from harness.trace.decode.results import Absences, Block, RecordingStats, UnendedStays
from harness.trace.decode.sample_layout import SampleLayouts, sample_layouts
from harness.trace.native.library import Signatures, load_functions
from harness.trace.perf_data.attr import Attr, is_grouped, read_words
from harness.trace.perf_data.header import Header
from harness.trace.tracepoint.format import TracepointFormat
from harness.trace.tracepoint.sched_events import EVENTS

TABLES = list(dict.fromkeys(event.table for event in EVENTS.values()))  # C knows a table by its index
_TYPES: dict[str, Any] = {"?": c_bool, "i2": c_int16, "i4": c_int32, "i8": c_int64}
_NO_TABLE, _LACKS_FIELD = -1, -2
_MAX_REPEATS = 64  # MAX_REPEATS of native/repeats.h
_STOP_REASONS = ("", "cut", "skip", "broken")  # in the order of `enum stop_reason`
_CPUS = 1 << 16
_STATES = 31  # STATES of native/sleeps.c
MOST_NAMES = 1 << 20  # task names and other texts of one recording that differ; a busy server has some thousands
MOST_NAME_BYTES = 64 << 20  # of all of them
_LONG = 0.1  # of a recording: a task that waits for so long at its end
_FOLLOWED = {  # the columns that `sleeps_feed` takes
    "switches": ("time_ns", "prev_tid", "prev_state", "next_tid"),
    "wakeups": ("time_ns", "tid", "target_cpu"),
    "migrations": ("time_ns", "tid", "dest_cpu"),
}


class _Counts(ctypes.Structure):
    """`struct counts` of native/decoder.h."""

    _fields_ = [
        (name, c_int64)
        for name in (
            "samples", "inversions", "bad", "has_times", "first", "last", "earliest", "lost", "lost_samples",
            "stop_reason", "lacking_format", "out_of_memory", "unknown", "repeats",
        )
    ]  # fmt: skip


class _Unended(ctypes.Structure):
    """`struct unended` of native/switch_chain.c."""

    _fields_ = [(name, c_int64) for name in ("stays", "tasks", "most", "left", "idle", "idle_left")]


_FUNCTIONS: Signatures = {
    "decoder_new": (c_void_p, [c_int32, c_int64, c_int64]),
    "decoder_free": (None, [c_void_p]),
    "decoder_add_ids": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int64]),
    "decoder_add_layout": (c_int, [c_void_p] + [c_int32] * 8),
    "decoder_add_table": (c_int, [c_void_p, c_int32, c_void_p, c_int32, c_int32]),
    "decoder_add_format": (c_int, [c_void_p] + [c_int32] * 3),
    "decoder_add_repeat": (c_int, [c_void_p, c_int32, c_int32]),
    "decoder_add_source": (c_int, [c_void_p] + [c_int32] * 5),
    "decoder_count_only": (None, [c_void_p]),
    "decoder_enter_part": (None, [c_void_p, c_int32]),
    "decoder_counts": (POINTER(_Counts), [c_void_p]),
    "decoder_event_counts": (None, [c_void_p, c_void_p, c_void_p]),
    "decoder_string_number": (c_int32, [c_void_p, c_char_p, c_int64]),
    "decoder_strings": (c_int32, [c_void_p, c_int32, c_void_p, c_void_p]),
    "decoder_take": (c_int64, [c_void_p, c_void_p, c_int64]),
    "decoder_sort": (c_int, [c_void_p]),
    "decoder_sort_by_cpu": (c_int, [c_void_p, c_int32]),
    "decoder_rows": (c_int64, [c_void_p, c_int32]),
    "decoder_column": (c_void_p, [c_void_p, c_int32, c_int32]),
    "decoder_rows_before": (c_int64, [c_void_p, c_int32, c_int64]),
    "decoder_drop_rows": (None, [c_void_p, c_int32, c_int64]),
    "chain_new_stays": (c_void_p, []),
    "chain_free_stays": (None, [c_void_p]),
    "chain_note_cpus": (None, [c_void_p, c_int64, c_void_p]),
    "chain_breaks": (c_int64, [c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_void_p]),
    "chain_unended": (_Unended, [c_void_p]),
    "sleeps_new": (c_void_p, []),
    "sleeps_free": (None, [c_void_p]),
    "sleeps_feed": (None, [c_void_p] * 2 + [c_int64] + [c_void_p] * 4 + ([c_int64] + [c_void_p] * 3) * 2),
    "sleeps_gap_ns": (c_uint64, [c_void_p, c_int64, c_int64]),
    "sleeps_count": (c_int64, [c_void_p, c_int64] + [c_void_p] * 3),
    "chain_cpus": (c_int32, [c_void_p, c_void_p]),
}


class NativeDecoder:
    """Takes buffers of records and keeps the rows they hold until they are released, sorted by time.

    `parts` is the number of files of the recording. With `counts_only` no rows are kept. More than `most_names` task
    names and other texts are refused. Raises TraceError where the samples carry no times, HostError where the compiled
    code is missing.
    """

    def __init__(
        self, header: Header, parts: int = 1, *, counts_only: bool = False, most_names: int = MOST_NAMES
    ) -> None:
        native = self._native = load_functions(_FUNCTIONS)
        layouts = sample_layouts(header)
        self._header = header
        self._decoder = native.decoder_new(
            int(header.little != (sys.byteorder == "little")), layouts.time_offset, _or_minus_one(layouts.id_offset)
        )
        if not self._decoder:
            raise MemoryError("no room for a decoder")
        weakref.finalize(self, native.decoder_free, self._decoder).atexit = False  # at exit, columns may be in use
        self._counts = native.decoder_counts(self._decoder).contents
        self._running, self._breaks = (c_int64 * _CPUS)(), 0  # the task that runs on each CPU; see switch_chain.c
        self._stays = native.chain_new_stays()
        self._sleeps = native.sleeps_new()
        weakref.finalize(self, native.chain_free_stays, self._stays)
        weakref.finalize(self, native.sleeps_free, self._sleeps)
        if not (self._stays and self._sleeps):
            raise MemoryError("no room for the tasks")
        self._config = configure_decoder(native, self._decoder, header, layouts, parts > 1)
        self._finished = False
        self._names, self._most_names = list[bytes](), most_names
        if counts_only:
            native.decoder_count_only(self._decoder)

    @property
    def earliest_ns(self) -> int:
        """Earliest time in the last buffer; NEVER where it had no samples."""
        return int(self._counts.earliest)

    @property
    def tables(self) -> Set[str]:
        """The tables that this recording can have rows of."""
        return self._config.columns.keys()

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return 0 if self._finished else sum(map(self._table_rows, TABLES))

    def enter_part(self, part: int) -> None:
        """Expect the records of another file of the recording."""
        self._native.decoder_enter_part(self._decoder, part)

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """Take records; see `BufferSink.take`.

        TraceError where the format of a sample lacks a needed field, and where there are too many names.
        """
        if self._finished:
            raise ValueError("this decoder has released its last rows")
        start = ctypes.addressof(c_char.from_buffer(buffer))
        taken = self._native.decoder_take(self._decoder, start, size)
        if self._counts.out_of_memory:
            raise MemoryError(f"no room for {self.rows} rows")
        if self._counts.lacking_format >= 0:
            raise self._config.format_errors[self._counts.lacking_format]
        self._require_few_names()
        return taken, _STOP_REASONS[self._counts.stop_reason]

    def release(self, limit_ns: int) -> dict[str, Block]:
        """Pop the rows before `limit_ns` as blocks by table, ordered by time, part, position in the file."""
        self.sort()
        rows = {table: count for table in self.tables if (count := self.rows_before(table, limit_ns))}
        released = {table: _copied(self.view(table, count)) for table, count in rows.items()}
        self.follow(rows)
        for table, count in rows.items():
            self.drop(table, count)
        return released

    def release_all(self) -> dict[str, Block]:
        """Pop all rows, as `release` does. No record may follow. The blocks are the decoder's memory, and keep it."""
        self.sort()
        rows = {table: count for table in self.tables if (count := self.rows_before(table, None))}
        self._finished = True
        self.follow(rows)
        return {table: self.view(table, count) for table, count in rows.items()}

    def sort(self) -> None:
        """Sort the rows of every table by time, part, position in the file."""
        if self._native.decoder_sort(self._decoder):
            raise MemoryError(f"no room to sort {self.rows} rows")

    def sort_by_cpu(self, table: str) -> None:
        """Sort the rows of one time by CPU, in a sorted table."""
        if self._native.decoder_sort_by_cpu(self._decoder, TABLES.index(table)):
            raise MemoryError(f"no room to sort {self.rows} rows")

    def rows_before(self, table: str, limit_ns: int | None) -> int:
        """Return how many rows of a sorted table are before `limit_ns` (None: all)."""
        if limit_ns is None:
            return self._table_rows(table)
        return int(self._native.decoder_rows_before(self._decoder, TABLES.index(table), limit_ns))

    def view(self, table: str, rows: int) -> Block:
        """Return the first rows of a table: the decoder's memory, which moves when it takes a buffer or drops rows."""
        block = Block()
        for index, (name, dtype) in enumerate(self._config.columns[table]):
            if name:
                address = self._native.decoder_column(self._decoder, TABLES.index(table), index)
                block[name] = (_TYPES[dtype] * rows).from_address(address or 0)  # no memory, no rows
                block[name].owner = self  # type: ignore[attr-defined] # which would free this memory
        return block

    def drop(self, table: str, rows: int) -> None:
        """Drop the first rows of a sorted table, which were followed. No earlier ones may come."""
        self._native.decoder_drop_rows(self._decoder, TABLES.index(table), rows)

    def stats(self) -> RecordingStats:
        """Return the counts so far."""
        counts, cpus = self._counts, (c_int16 * _CPUS)()
        cpu_count = self._native.chain_cpus(self._running, cpus)
        return RecordingStats(
            samples=counts.samples,
            inversions=counts.inversions,
            first_ns=counts.first,
            last_ns=counts.last,
            lost_events=max(counts.lost, counts.lost_samples),
            bad=counts.bad,
            unknown_records=counts.unknown,
            counts=self._event_counts(),
            repeats=counts.repeats,
            chain_breaks=self._breaks,
            cpus=tuple(cpus[:cpu_count]),
            unended=self._unended(),
            gap_ns=self._native.sleeps_gap_ns(self._sleeps, counts.first, counts.last),
            absences=self._absences(counts.last - int(_LONG * (counts.last - counts.first))),
        )

    def _absences(self, before_ns: int) -> Absences:
        counts = [(c_int64 * _STATES)() for _ in range(3)]
        woken = self._native.sleeps_count(self._sleeps, before_ns, *counts)
        values = self.states()[:_STATES]
        ended, unwoken, lasting = (dict(zip(values, count, strict=False)) for count in counts)
        return Absences(ended, unwoken, lasting, woken)

    def _unended(self) -> UnendedStays:
        found = self._native.chain_unended(self._stays)
        return UnendedStays(found.stays, found.tasks, found.most, found.left, found.idle, bool(found.idle_left))

    def names(self) -> list[bytes]:
        """Return task names and other texts, by number."""
        self._names += self._strings(states=False, first=len(self._names))
        return self._names

    def states(self) -> list[int]:
        """Return the values of prev_state, by number."""
        return [int.from_bytes(raw, sys.byteorder, signed=True) for raw in self._strings(states=True)]

    def follow(self, rows: dict[str, int]) -> None:
        """Judge the first rows of the sorted tables. Each comes once; those of all tables together, in time order."""
        blocks = {table: self.view(table, count) for table, count in rows.items()}
        for table, block in blocks.items():
            self._native.chain_note_cpus(block["cpu"], rows[table], self._running)
        if switches := blocks.get("switches"):
            columns = (switches[name] for name in ("cpu", "prev_tid", "next_tid"))
            self._breaks += self._native.chain_breaks(*columns, rows["switches"], self._running, self._stays)
        given: list[Any] = []
        for table, names in _FOLLOWED.items():
            given += [rows.get(table, 0), *(blocks[table][name] if table in blocks else None for name in names)]
        self._native.sleeps_feed(self._sleeps, self._running, *given)

    def _table_rows(self, table: str) -> int:
        return int(self._native.decoder_rows(self._decoder, TABLES.index(table)))

    def _event_counts(self) -> dict[str, int]:
        formats, attrs = self._config.formats, len(self._header.attrs)
        by_format, by_attr = (c_int64 * len(formats))(), (c_int64 * attrs)()
        self._native.decoder_event_counts(self._decoder, by_format, by_attr)
        names = [f"{tracepoint.system}:{tracepoint.name}" for tracepoint in formats]
        names += [self._header.names.get(attr, f"event {attr}") for attr in range(attrs)]  # these are no tracepoints
        totals: dict[str, int] = {}
        for name, samples in zip(names, [*by_format, *by_attr], strict=True):
            if samples:
                totals[name] = totals.get(name, 0) + samples
        return totals

    def _require_few_names(self) -> None:
        count, _, ends = self._string_table(states=False)
        if count > self._most_names or (count and ends[count - 1] > MOST_NAME_BYTES):
            raise TraceError(
                f"the recording has {count:,} different task names and other texts, with {ends[count - 1]:,} bytes",
                expected=f"at most {self._most_names:,}, with {MOST_NAME_BYTES:,} bytes",
                hint="record for a shorter time; a machine whose tasks all differ in name is not what perf recorded",
            )

    def _strings(self, states: bool, first: int = 0) -> list[bytes]:
        """Return the strings from number `first` on."""
        count, start, ends = self._string_table(states)
        if count <= first:
            return []
        limits = [ends[first - 1] if first else 0, *ends[first:count]]
        content = ctypes.string_at(start + limits[0], limits[-1] - limits[0])
        return [content[low - limits[0] : high - limits[0]] for low, high in itertools.pairwise(limits)]

    def _string_table(self, states: bool) -> tuple[int, int, Any]:
        """Return how many strings there are, the address of their bytes, and where each ends."""
        start, ends = c_void_p(), POINTER(c_int64)()
        count = self._native.decoder_strings(self._decoder, int(states), byref(start), byref(ends))
        return count, start.value or 0, ends


def _copied(block: Block) -> Block:
    return {name: type(column).from_buffer_copy(column) for name, column in block.items()}


@dataclass
class DecoderConfig:
    """A decoder's configuration: formats, and columns of each table (name and type; one without a name stays in C).

    `format_errors` maps the index of a format that lacks a field to an error, which its first sample raises.
    """

    columns: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    formats: list[TracepointFormat] = field(default_factory=list)
    format_errors: dict[int, TraceError] = field(default_factory=dict)


def configure_decoder(
    native: Any, decoder: int, header: Header, layouts: SampleLayouts, has_parts: bool
) -> DecoderConfig:
    """Pass the layouts and formats of a recording to a C decoder. `has_parts`: the recording is of several files."""
    _add_ids(native, decoder, header.ids)
    _add_layouts(native, decoder, header, layouts)
    config = DecoderConfig()
    for tracepoint in layouts.formats.values():
        table, sources = _NO_TABLE, list[ColumnSource]()
        try:
            if tracepoint.system == "sched" and tracepoint.name in EVENTS:
                event = EVENTS[tracepoint.name]
                table, sources = TABLES.index(event.table), column_sources(event, tracepoint)
                _add_table(native, decoder, config, event.table, sources, has_parts)
        except TraceError as error:
            table, config.format_errors[len(config.formats)] = _LACKS_FIELD, error
        _call(native.decoder_add_format, decoder, tracepoint.id, tracepoint.end, table)
        _add_repeats(native, decoder, header.attrs, layouts, tracepoint)
        config.formats.append(tracepoint)
        for source in sources:
            _add_source(native, decoder, config.columns[TABLES[table]], source)
    return config


def _add_ids(native: Any, decoder: int, attr_of: dict[int, int]) -> None:
    places = dict.fromkeys(attr_of.values(), 0)
    ids = []
    for number, attr in attr_of.items():  # in the order of the file, which is that of the buffers
        ids.append((number, attr, places[attr]))
        places[attr] += 1
    numbers, attrs, buffers = zip(*sorted(ids), strict=True) if ids else ((), (), ())
    count = len(ids)
    arrays = (c_uint64 * count)(*numbers), (c_int32 * count)(*attrs), (c_int32 * count)(*buffers)
    _call(native.decoder_add_ids, decoder, *arrays, count)


def _add_repeats(
    native: Any, decoder: int, attrs: list[Attr], layouts: SampleLayouts, tracepoint: TracepointFormat
) -> None:
    """Say which attrs record the tracepoint, if they are several. TraceError where samples do not name their attr."""
    repeats = [index for index, attr in enumerate(attrs) if attr.is_tracepoint and attr.config == tracepoint.id]
    if len(repeats) < 2:
        return
    if layouts.id_offset is None or len(repeats) > _MAX_REPEATS:
        raise TraceError(
            f"{len(repeats)} events record {tracepoint.system}:{tracepoint.name}; their samples cannot be told apart",
            expected=f"ids in the samples, and at most {_MAX_REPEATS} such events",
            hint="record each event once, as `perf sched record` does",
        )
    for place, attr in enumerate(repeats):
        _call(native.decoder_add_repeat, decoder, attr, place)


def _add_layouts(native: Any, decoder: int, header: Header, layouts: SampleLayouts) -> None:
    for attr, offsets, group in zip(header.attrs, layouts.offsets, layouts.groups, strict=True):
        base = read_words(attr, 0) if is_grouped(attr) else read_words(attr)
        each = read_words(attr, 1) - read_words(attr, 0) if is_grouped(attr) else 0
        time, cpu = _or_minus_one(offsets.time), _or_minus_one(offsets.cpu)
        read, callchain = int(offsets.has_read), int(offsets.has_callchain)
        _call(native.decoder_add_layout, decoder, group, time, cpu, offsets.tail, read, base, each, callchain)


def _add_table(
    native: Any, decoder: int, config: DecoderConfig, table: str, sources: list[ColumnSource], has_parts: bool
) -> None:
    if table not in config.columns:
        columns = [(source.name, source.dtype) for source in sources]
        widths = (c_int32 * len(columns))(*(ctypes.sizeof(_TYPES[dtype]) for _, dtype in columns))
        _call(native.decoder_add_table, decoder, TABLES.index(table), widths, len(columns), int(has_parts))
        part = [("", "i4")] if has_parts else []
        config.columns[table] = [("time_ns", "i8"), ("cpu", "i2"), *part, *columns]


def _add_source(native: Any, decoder: int, columns: list[tuple[str, str]], source: ColumnSource) -> None:
    offset = source.offset
    if source.encoding == CONSTANT:
        text = source.text.encode()
        offset = native.decoder_string_number(decoder, text, len(text))
    column = columns.index((source.name, source.dtype))
    encoding = ENCODINGS.index(source.encoding)
    _call(native.decoder_add_source, decoder, encoding, column, offset, source.size, int(source.signed))


def _call(function: Any, *arguments: Any) -> None:
    answer = function(*arguments)
    if answer == -1:
        raise MemoryError(f"{function.__name__}: no room")
    if answer:
        raise ValueError(f"{function.__name__}{arguments} was refused")


def _or_minus_one(offset: int | None) -> int:
    return -1 if offset is None else offset

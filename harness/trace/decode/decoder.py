"""What reads the records of a recording: compiled code where it can be had, numpy where not; both with one result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.errors import TraceError
from harness.trace.perf_data.attr import Attr, SampleOffsets, sample_offsets
from harness.trace.perf_data.constants import PERF_SAMPLE_RAW, PERF_SAMPLE_TIME, PERF_TYPE_TRACEPOINT
from harness.trace.perf_data.header import Header
from harness.trace.tracepoint.format import TracepointFormat
from harness.trace.tracepoint.sched_events import EVENTS, Event

Block = dict[str, Any]  # columns as numpy arrays of equal length; task names and states as numbers
NEVER = (1 << 63) - 1


@dataclass(frozen=True)
class Seen:
    """What was counted. Times are in ns; `inversions` counts samples earlier than the one before them in their file.

    `lost_events` is the larger of the sums of LOST and LOST_SAMPLES records, which count the same losses; `counts` has
    the samples per event, `bad` how many could not be decoded. `chain_breaks`, `cpus` and `states` (the values of
    prev_state, by number) are of the rows given away so far.
    """

    samples: int
    inversions: int
    first_ns: int
    last_ns: int
    lost_events: int
    bad: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    chain_breaks: int = 0
    cpus: tuple[int, ...] = ()

    @property
    def span_ns(self) -> int:
        """From the first sample to the last."""
        return self.last_ns - self.first_ns


class Engine(Protocol):
    """Takes buffers of records and keeps the rows they hold, until they are asked for."""

    @property
    def earliest_ns(self) -> int:
        """The earliest time in the last buffer; NEVER where it had no samples."""

    @property
    def rows(self) -> int:
        """How many rows are kept."""

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """Take the records of `buffer[:size]`, with PADDING zeros behind it: how far, and why not further.

        The reason is one of those of `walk.Walk.stopped`. TraceError where a format lacks a field that is needed.
        """

    def enter(self, part: int) -> None:
        """What comes next is of this file of a folder."""

    def finish(self) -> None:
        """Sort what is kept; nothing more comes."""

    def block(self, table: str) -> Block:
        """The rows of a table that was sorted by `finish`; empty where there are none."""

    def release(self, limit_ns: int) -> dict[str, Block]:
        """Give away the rows before `limit_ns`, sorted by time; those of one time by part, then in the file's order."""

    def seen(self) -> Seen:
        """The counts so far."""

    def names(self) -> list[bytes]:
        """Task names and other texts, by number."""

    def states(self) -> list[int]:
        """Values of prev_state, by number."""


@dataclass(frozen=True)
class Layouts:
    """How the samples of a recording are told apart.

    `groups` has for each attr the first one that is laid out alike, -1 for one without tracepoint data. `id_offset`
    is None where samples have no id, or not all at one place: then all are taken for the first attr's.
    """

    places: list[SampleOffsets]
    groups: list[int]
    id_offset: int | None
    time_offset: int
    formats: dict[int, TracepointFormat]

    def foreign_name(self, header: Header, place: int) -> str:
        """What samples of an attr that is no tracepoint are counted as."""
        return header.names.get(place, f"event {place}")


def layouts(header: Header) -> Layouts:
    """How the samples of a recording are told apart. TraceError where they carry no times."""
    places = [sample_offsets(attr) for attr in header.attrs]
    time_offset = next((place.time for place in places if place.time), None)
    if time_offset is None:
        raise TraceError("the recording has no timestamps", hint="record with `perf sched record`, which adds them")
    offsets = {place.id for place in places}
    formats = (header.formats or {}).values()
    named = {(form.system, form.name): form for form in formats}  # a forged file may name one twice
    kinds = {form.id: form for form in named.values() if form.id < 1 << 16}  # common_type has 16 bits
    return Layouts(
        places,
        _groups(header.attrs),
        offsets.pop() if len(offsets) == 1 and header.ids else None,
        time_offset,
        kinds,
    )


def event_of(form: TracepointFormat) -> Event | None:
    """The event that a format is of, if its rows are wanted."""
    return EVENTS.get(form.name) if form.system == "sched" else None


def open_engine(header: Header, parts: int = 1, *, counts_only: bool = False) -> Engine:
    """An engine for a recording of `parts` files, which with `counts_only` keeps no rows. TraceError as for layouts."""
    from harness.trace.decode.native_decoder import Compiled

    return Compiled(header, parts, counts_only)


def _has_tracepoint(attr: Attr) -> bool:
    wanted = PERF_SAMPLE_RAW | PERF_SAMPLE_TIME
    return attr.type == PERF_TYPE_TRACEPOINT and attr.sample_type & wanted == wanted


def _groups(attrs: list[Attr]) -> list[int]:
    firsts: dict[tuple[int, int], int] = {}
    return [
        firsts.setdefault((attr.sample_type, attr.read_format), place) if _has_tracepoint(attr) else -1
        for place, attr in enumerate(attrs)
    ]

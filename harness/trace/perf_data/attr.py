"""perf_event_attr and what its sample_type says about where things lie in a sample.

Offsets follow include/uapi/linux/perf_event.h (the comment above PERF_RECORD_SAMPLE).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import TraceError
from harness.trace.perf_data.cursor import Cursor

IP, TID, TIME, ADDR, READ, CALLCHAIN, ID, CPU, PERIOD, STREAM_ID, RAW = (1 << bit for bit in range(11))
IDENTIFIER = 1 << 16

TYPE_TRACEPOINT = 2
_SAMPLE_ID_ALL, _USE_CLOCKID = 18, 25  # bit numbers among the flags of perf_event_attr
_FORMAT_ENABLED, _FORMAT_RUNNING, _FORMAT_ID, _FORMAT_GROUP, _FORMAT_LOST = 1, 2, 4, 8, 16
_CLOCKS = {0: "realtime", 1: "monotonic", 4: "monotonic_raw", 7: "boottime", 11: "tai"}
PERF_CLOCK = "perf"  # the kernel's own sched_clock, when no -k was given


@dataclass(frozen=True)
class Attr:
    """One recorded event: what it is, and the shape of its samples."""

    type: int
    config: int
    sample_type: int
    read_format: int
    sample_id_all: bool
    clock: str


@dataclass(frozen=True)
class Layout:
    """Byte offsets in a sample record, header included; None for what is not recorded.

    `tail` is where the first part of varying length begins; READ and CALLCHAIN come there, in this order, then RAW.
    """

    id: int | None
    tid: int | None
    time: int | None
    cpu: int | None
    tail: int
    has_read: bool
    has_callchain: bool
    has_raw: bool


def parse_attr(data: bytes | memoryview, little: bool = True) -> Attr:
    """Read a perf_event_attr of any version (64 bytes or more). TraceError where it is too short."""
    cursor = Cursor(data, little=little, what="perf_event_attr")
    if cursor.left < 48:
        raise TraceError(f"perf_event_attr has {cursor.left} bytes", expected="at least 48")
    kind, _size, config, _period, sample_type, read_format, flags = cursor.unpack("IIQQQQQ")
    clock = PERF_CLOCK
    if _flag(flags, _USE_CLOCKID, little) and len(data) >= 96:
        (clockid,) = Cursor(data, 92, little=little).unpack("i")
        clock = _CLOCKS.get(clockid, f"clock {clockid}")
    return Attr(kind, config, sample_type, read_format, _flag(flags, _SAMPLE_ID_ALL, little), clock)


def _flag(flags: int, bit: int, little: bool) -> bool:
    """Bit fields are allotted from the other end on big-endian machines."""
    return bool(flags >> (bit if little else 63 - bit) & 1)


def layout(attr: Attr) -> Layout:
    """Where the parts of a sample lie under this sample_type."""
    at, places = 8, {}
    for bit in (IDENTIFIER, IP, TID, TIME, ADDR, ID, STREAM_ID, CPU, PERIOD):
        if attr.sample_type & bit:
            places[bit] = at
            at += 8
    return Layout(
        id=places.get(IDENTIFIER, places.get(ID)),
        tid=places.get(TID),
        time=places.get(TIME),
        cpu=places.get(CPU),
        tail=at,
        has_read=bool(attr.sample_type & READ),
        has_callchain=bool(attr.sample_type & CALLCHAIN),
        has_raw=bool(attr.sample_type & RAW),
    )


def read_words(attr: Attr, members: int = 1) -> int:
    """Eight-byte words that READ takes, for a group of `members` events."""
    times = bool(attr.read_format & _FORMAT_ENABLED) + bool(attr.read_format & _FORMAT_RUNNING)
    extras = bool(attr.read_format & _FORMAT_ID) + bool(attr.read_format & _FORMAT_LOST)
    if attr.read_format & _FORMAT_GROUP:
        return 1 + times + members * (1 + extras)
    return 1 + times + extras


def is_grouped(attr: Attr) -> bool:
    """Whether READ begins with the number of events of a group."""
    return bool(attr.read_format & _FORMAT_GROUP)

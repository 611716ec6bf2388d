"""The tracing_data part of a perf.data file: every tracepoint format that was recorded, and the machine's word size.

The layout is that of trace-cmd's file header: magic, version, byte order, size of long, page size, the ring buffer's
own formats, then the texts of ftrace and of each event system, all counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import TraceError
from harness.trace.perf_data.cursor import Cursor
from harness.trace.tracepoint.format import TraceFormat, parse_format

_MAGIC = b"\x17\x08\x44tracing"


@dataclass(frozen=True)
class TracingData:
    """`formats` maps common_type (the tracepoint's id) to its format; `long_size` is in bytes."""

    formats: dict[int, TraceFormat]
    little: bool
    long_size: int


def parse_tracing_data(data: bytes | memoryview) -> TracingData:
    """Read the whole of it. TraceError where it is cut short or not what it should be."""
    cursor = Cursor(data, what="tracing_data")
    if bytes(cursor.take(len(_MAGIC))) != _MAGIC:
        raise TraceError("tracing_data does not begin with its magic", expected="bytes 17 08 44 and `tracing`")
    cursor.text_until_nul()
    little = cursor.u8() == 0
    cursor.order = "<" if little else ">"
    long_size, _page_size = cursor.u8(), cursor.u32()
    for part in (b"header_page", b"header_event"):
        if cursor.text_until_nul() != part:
            raise TraceError(f"tracing_data has no {part.decode()}")
        cursor.take(cursor.u64())
    formats = [_sized_format(cursor, "ftrace") for _ in range(_count(cursor))]
    for _ in range(_count(cursor)):
        system = cursor.text_until_nul().decode("ascii", "replace")
        formats += [_sized_format(cursor, system) for _ in range(_count(cursor))]
    return TracingData({found.id: found for found in formats}, little, long_size)


def _count(cursor: Cursor) -> int:
    """A number of items, each of which takes at least eight bytes or a string; forged ones are refused early."""
    count = cursor.u32()
    if count > cursor.left:
        raise TraceError(f"tracing_data claims {count} entries in {cursor.left} bytes")
    return count


def _sized_format(cursor: Cursor, system: str) -> TraceFormat:
    text = bytes(cursor.take(cursor.u64())).decode("utf-8", "replace")
    return parse_format(text, system)

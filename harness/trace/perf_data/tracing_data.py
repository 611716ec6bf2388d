"""The tracing_data section of a perf.data file: the format of every tracepoint that was recorded.

The layout is that of trace-cmd's file header: magic, version, byte order, size of long, page size, the ring buffer's
own formats, then the texts of ftrace and of each event system. A count precedes each list, a size each text.
"""

from __future__ import annotations

from harness.errors import TraceError
from harness.trace.perf_data.cursor import Cursor
from harness.trace.tracepoint.format import TracepointFormat, parse_format

_MAGIC = b"\x17\x08\x44tracing"


def parse_tracing_data(data: bytes | memoryview) -> dict[int, TracepointFormat]:
    """Return the formats by tracepoint id (common_type). Raises TraceError for a section that is cut or malformed."""
    cursor = Cursor(data, name="tracing_data")
    if bytes(cursor.take(len(_MAGIC))) != _MAGIC:
        raise TraceError("tracing_data does not begin with its magic", expected="bytes 17 08 44 and `tracing`")
    cursor.text_until_nul()
    cursor.order = "<" if cursor.u8() == 0 else ">"
    _long_size, _page_size = cursor.u8(), cursor.u32()
    for part in (b"header_page", b"header_event"):
        if cursor.text_until_nul() != part:
            raise TraceError(f"tracing_data has no {part.decode()}")
        cursor.take(cursor.u64())
    formats = [_read_format(cursor, "ftrace") for _ in range(_read_count(cursor))]
    for _ in range(_read_count(cursor)):
        system = cursor.text_until_nul().decode("ascii", "replace")
        formats += [_read_format(cursor, system) for _ in range(_read_count(cursor))]
    return {tracepoint.id: tracepoint for tracepoint in formats}


def _read_count(cursor: Cursor) -> int:
    """Read a number of items. Each item takes at least one byte, so forged numbers are refused early."""
    count = cursor.u32()
    if count > cursor.left:
        raise TraceError(f"tracing_data claims {count} entries in {cursor.left} bytes")
    return count


def _read_format(cursor: Cursor, system: str) -> TracepointFormat:
    return parse_format(bytes(cursor.take(cursor.u64())).decode("utf-8", "replace"), system)

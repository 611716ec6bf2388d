"""The header of a recording written to a pipe: a row of records, where a seekable file has tables."""

from __future__ import annotations

import struct
from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data.attr import parse_attr
from harness.trace.perf_data.cursor import Cursor
from harness.trace.perf_data.header import MAX_ATTRS, Header, Section, add_ids, apply_feature
from harness.trace.perf_data.header import TRACING_DATA as TRACING_FEATURE

HEADER_ATTR, HEADER_TRACING_DATA, HEADER_FEATURE = 64, 66, 80
_FIRST_OF_PERF_S_OWN = 64  # record types below come from the kernel, or are made up in its manner
_COMPRESSED = (81, 83)
_MAX_TRACING_DATA = 64 << 20


def read_pipe_header(file: BinaryIO, header: Header, size: int) -> None:
    """Read the leading records of `file` into `header`, and set `header.data` to the rest.

    TraceError where no attr is found, or a record is not what it should be.
    """
    at = header.data.offset
    while at + 8 <= size:
        kind, length, body = _record(file, at, header, size)
        if kind < _FIRST_OF_PERF_S_OWN or kind in _COMPRESSED or length < 8:
            break
        at += length
        if kind == HEADER_ATTR:
            _take_attr(header, body)
        elif kind == HEADER_TRACING_DATA:
            at += _take_tracing_data(file, at, header, body, size)
        elif kind == HEADER_FEATURE and len(body) >= 8:
            _take_feature(header, body)
    if not header.attrs:
        raise TraceError("the recording from a pipe describes no events", hint="record again")
    header.data = Section(at, max(0, size - at))


def _record(file: BinaryIO, at: int, header: Header, size: int) -> tuple[int, int, bytes]:
    order = "<" if header.little else ">"
    file.seek(at)
    kind, _, length = struct.unpack(order + "IHH", file.read(8))
    return kind, length, file.read(max(0, min(length - 8, size - at - 8)))


def _take_attr(header: Header, body: bytes) -> None:
    attr_size = Cursor(body, 4, little=header.little, what="an attr record").u32()
    if not 64 <= attr_size <= len(body):
        raise TraceError(f"an attr record of {len(body)} bytes claims an attr of {attr_size}")
    if len(header.attrs) == MAX_ATTRS:
        raise TraceError(f"the recording claims more than {MAX_ATTRS} kinds of events")
    header.attrs.append(parse_attr(body[:attr_size], header.little))
    add_ids(header, body[attr_size:], len(header.attrs) - 1)


def _take_tracing_data(file: BinaryIO, at: int, header: Header, body: bytes, size: int) -> int:
    length = Cursor(body, little=header.little, what="a tracing_data record").u32()
    if length > min(_MAX_TRACING_DATA, size - at):
        header.problems.append("the tracepoint formats are cut")
        return size - at
    file.seek(at)
    _guarded(header, TRACING_FEATURE, file.read(length))
    return (length + 7) // 8 * 8


def _take_feature(header: Header, body: bytes) -> None:
    number = Cursor(body, little=header.little).u64()
    header.features.add(number)
    _guarded(header, number, body[8:])


def _guarded(header: Header, number: int, data: bytes) -> None:
    try:
        apply_feature(header, number, data)
    except TraceError as error:
        header.problems.append(f"feature {number} cannot be read: {error.what}")

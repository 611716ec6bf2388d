"""The header of a recording that perf wrote to a pipe: a series of records, where a seekable file has tables."""

from __future__ import annotations

import struct
from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data import constants as perf
from harness.trace.perf_data.attr import parse_attr
from harness.trace.perf_data.compressed_records import COMPRESSED_RECORDS
from harness.trace.perf_data.cursor import Cursor
from harness.trace.perf_data.header import MAX_ATTRS, Header, Section, add_ids, apply_feature, note_unreadable
from harness.trace.perf_data.targets import TARGET_RECORDS, note_targets

_MAX_TRACING_DATA = 64 << 20


def read_pipe_header(file: BinaryIO, header: Header, size: int) -> None:
    """Read the leading records of `file` into `header`, and set `header.data` to the rest of the file.

    Raises TraceError if there is no attr, or if a record is malformed.
    """
    offset = header.data.offset
    while offset + 8 <= size:
        kind, length, body = _read_record(file, offset, header, size)
        if kind < perf.PERF_RECORD_USER_TYPE_START or kind in COMPRESSED_RECORDS or length < 8:
            break
        offset += length
        if kind == perf.PERF_RECORD_HEADER_ATTR:
            _read_attr(header, body)
        elif kind == perf.PERF_RECORD_HEADER_TRACING_DATA:
            offset += _read_tracing_data(file, offset, header, body, size)
        elif kind == perf.PERF_RECORD_HEADER_FEATURE and len(body) >= 8:
            _read_feature(header, body)
        elif kind in TARGET_RECORDS:
            note_targets(header, kind, body)
    if not header.attrs:
        raise TraceError("the recording from a pipe describes no events", hint="record again")
    header.data = Section(offset, max(0, size - offset))


def _read_record(file: BinaryIO, offset: int, header: Header, size: int) -> tuple[int, int, bytes]:
    file.seek(offset)
    kind, _misc, length = struct.unpack(header.order + "IHH", file.read(8))
    return kind, length, file.read(max(0, min(length - 8, size - offset - 8)))


def _read_attr(header: Header, body: bytes) -> None:
    attr_size = Cursor(body, 4, little=header.little, name="an attr record").u32()
    if not 64 <= attr_size <= len(body):
        raise TraceError(f"an attr record of {len(body)} bytes claims an attr of {attr_size}")
    if len(header.attrs) == MAX_ATTRS:
        raise TraceError(f"the recording claims more than {MAX_ATTRS} kinds of events")
    header.attrs.append(parse_attr(body[:attr_size], header.little))
    add_ids(header, body[attr_size:], len(header.attrs) - 1)


def _read_tracing_data(file: BinaryIO, offset: int, header: Header, body: bytes, size: int) -> int:
    """Read the tracepoint formats, which follow their record; return how many bytes they take."""
    length = Cursor(body, little=header.little, name="a tracing_data record").u32()
    if length > min(_MAX_TRACING_DATA, size - offset):
        header.problems.append("the tracepoint formats are cut")
        return size - offset
    file.seek(offset)
    _apply_or_note(header, perf.HEADER_TRACING_DATA, file.read(length))
    return (length + 7) // 8 * 8


def _read_feature(header: Header, body: bytes) -> None:
    feature = Cursor(body, little=header.little).u64()
    header.features.add(feature)
    _apply_or_note(header, feature, body[8:])


def _apply_or_note(header: Header, feature: int, data: bytes) -> None:
    try:
        apply_feature(header, feature, data)
    except TraceError as error:
        note_unreadable(header, feature, error)

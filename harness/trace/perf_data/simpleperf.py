"""The tracepoint formats of simpleperf, Android's recorder: a record before the samples, not a part of the header."""

from __future__ import annotations

from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data.constants import HEADER_TRACING_DATA, PERF_RECORD_COMM, SIMPLEPERF_TRACING_DATA
from harness.trace.perf_data.header import Header, apply_feature, note_unreadable
from harness.trace.perf_data.leading_records import leading_records


def read_simpleperf_formats(file: BinaryIO, header: Header, file_size: int) -> None:
    """Read the formats into `header`, if simpleperf's record of them is among the first."""
    for kind, body in leading_records(file, header, file_size):
        if kind == SIMPLEPERF_TRACING_DATA:
            _read_formats(body, header)
        if kind in (SIMPLEPERF_TRACING_DATA, PERF_RECORD_COMM):
            return


def _read_formats(body: bytes, header: Header) -> None:
    """The body is the size of the formats in bytes, u32, and the formats."""
    try:
        apply_feature(header, HEADER_TRACING_DATA, body[4:])
    except TraceError as error:
        note_unreadable(header, HEADER_TRACING_DATA, error)

"""The threads that events were opened on, from records that perf writes before the first sample.

Layout: struct perf_record_id_index and perf_record_thread_map in tools/lib/perf/include/perf/event.h.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from harness.trace.perf_data import constants as perf
from harness.trace.perf_data.header import Header
from harness.trace.perf_data.leading_records import leading_records

ANY_THREAD = -1  # the event was opened on a CPU, for whatever runs there
TARGET_RECORDS = frozenset({perf.PERF_RECORD_ID_INDEX, perf.PERF_RECORD_THREAD_MAP})
_AFTER_TARGETS = frozenset(  # records of tasks and samples
    {
        perf.PERF_RECORD_COMM,
        perf.PERF_RECORD_FORK,
        perf.PERF_RECORD_SAMPLE,
        perf.PERF_RECORD_COMPRESSED,
        perf.PERF_RECORD_FINISHED_INIT,
        perf.PERF_RECORD_COMPRESSED2,
    }
)


def read_targets(file: BinaryIO, header: Header, size: int) -> None:
    """Add to `header.targets` what the records at the beginning of the data say; older perf than 4.16 writes none."""
    for kind, body in leading_records(file, header, size):
        if kind in _AFTER_TARGETS:
            return
        if kind in TARGET_RECORDS:
            note_targets(header, kind, body)


def note_targets(header: Header, kind: int, body: bytes) -> None:
    """Add the threads of one record to `header.targets`; a record that is too short adds those that it has."""
    if len(body) < 8:
        return
    (count,) = struct.unpack_from(header.order + "Q", body)
    if kind == perf.PERF_RECORD_THREAD_MAP:
        entries = struct.iter_unpack(header.order + "q16x", _whole_entries(body, 24, count))
        header.targets.update(tid for (tid,) in entries)
    else:
        entries = struct.iter_unpack(header.order + "QQqq", _whole_entries(body, 32, count))
        header.targets.update(tid for sample_id, _index, _cpu, tid in entries if sample_id in header.ids)


def _whole_entries(body: bytes, size: int, count: int) -> bytes:
    return body[8 : 8 + min(count, (len(body) - 8) // size) * size]

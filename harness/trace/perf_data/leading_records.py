"""The records at the beginning of the data, before the samples: what the recorder says about itself."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from harness.trace.perf_data.constants import PERF_RECORD_SAMPLE, SIMPLEPERF_TYPE_START
from harness.trace.perf_data.header import Header

_MAX_RECORDS = 100_000


def leading_records(file: BinaryIO, header: Header, file_size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the types and bodies of the records before the first sample, as far as they are whole."""
    offset, end = header.data.offset, min(header.data.end, file_size)
    for _ in range(_MAX_RECORDS):
        if offset + 8 > end:
            return
        file.seek(offset)
        kind, misc, size = struct.unpack(header.order + "IHH", file.read(8))
        size |= misc << 16 if kind >= SIMPLEPERF_TYPE_START else 0
        if kind == PERF_RECORD_SAMPLE or size < 8 or offset + size > end:
            return
        yield kind, file.read(size - 8)
        offset += size

"""Recordings as simpleperf (Android) writes them: records and header sections of its own, formats in a record.

They are made of a real recording of perf, with what simpleperf adds or keeps elsewhere.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from shorten import DATA_OFFSET, DATA_SIZE, shortened

import harness.trace
from harness.trace.perf_data.constants import SIMPLEPERF_TRACING_DATA

FEATURES, HEADER = 72, 104
KERNEL_SYMBOL, SPLIT, SPLIT_END, CALLCHAIN = 32769, 32772, 32773, 32775


def own(kind: int, body: bytes) -> bytes:
    """A record of simpleperf, whose size has 32 bits."""
    body += bytes(-len(body) % 8)
    size = 8 + len(body)
    return struct.pack("<IHH", kind, size >> 16, size & 0xFFFF) + body


def recorded(whole: bytes, first: bytes, last: bytes, *, with_formats: bool, sections: dict[int, bytes]) -> bytes:
    """The recording with more records before and after its own, and more sections in its header."""
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    bits = int.from_bytes(whole[FEATURES:HEADER], "little")
    numbers = [bit for bit in range(256) if bits >> bit & 1]
    table = [struct.unpack_from("<QQ", whole, offset + size + 16 * index) for index in range(len(numbers))]
    contents = {number: whole[at : at + length] for number, (at, length) in zip(numbers, table, strict=True)}
    contents |= sections
    if not with_formats:
        del contents[1]
    data = first + whole[offset : offset + size] + last
    at, entries = offset + len(data) + 16 * len(contents), b""
    for number in sorted(contents):
        entries += struct.pack("<QQ", at, len(contents[number]))
        at += len(contents[number])
    header = bytearray(whole[:offset])
    header[FEATURES:HEADER] = sum(1 << number for number in contents).to_bytes(32, "little")
    struct.pack_into("<Q", header, DATA_SIZE, len(data))
    return bytes(header) + data + entries + b"".join(contents[number] for number in sorted(contents))


@pytest.fixture(scope="module")
def whole(nginx_recording: Path) -> bytes:
    return shortened(nginx_recording.read_bytes(), 2000)


def formats(whole: bytes) -> bytes:
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    at, length = struct.unpack_from("<QQ", whole, offset + size)
    return whole[at : at + length]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "perf.data"
    path.write_bytes(content)
    return path


def test_its_records_are_counted_and_its_sections_left_aside(whole: bytes, tmp_path: Path) -> None:
    symbols = own(KERNEL_SYMBOL, struct.pack("<I", 300_000) + b"ffff t do_it\n" * 23_000)
    few = own(SPLIT, bytes(65_000)) + own(SPLIT_END, bytes(8)) + own(CALLCHAIN, bytes(40))
    sections = {128: bytes(100), 129: b"simpleperf_version\0001.0\0", 130: b"", 132: bytes(16)}
    path = written(tmp_path, recorded(whole, symbols + few, few, with_formats=True, sections=sections))
    plain = tmp_path / "plain.data"
    plain.write_bytes(whole)
    trace, expected = harness.trace.read(path), harness.trace.read(plain)
    assert trace.switches.equals(expected.switches)
    assert trace.quality.unknown_records == 7
    assert (trace.quality.whole, trace.quality.warnings) == (expected.quality.whole, expected.quality.warnings)
    assert harness.trace.convert(path, tmp_path / "tables", chunk_bytes=1 << 16).quality == trace.quality


def test_its_formats_are_found_among_its_records(whole: bytes, tmp_path: Path) -> None:
    tracing_data = formats(whole)
    first = own(KERNEL_SYMBOL, bytes(80_000))
    first += own(SIMPLEPERF_TRACING_DATA, struct.pack("<I", len(tracing_data)) + tracing_data)
    path = written(tmp_path, recorded(whole, first, b"", with_formats=False, sections={}))
    plain = tmp_path / "plain.data"
    plain.write_bytes(whole)
    trace, expected = harness.trace.read(path), harness.trace.read(plain)
    assert trace.switches.equals(expected.switches)
    assert trace.quality.warnings == expected.quality.warnings


def test_a_large_record_of_it_that_is_cut_makes_a_recording_not_whole(whole: bytes, tmp_path: Path) -> None:
    content = recorded(whole, b"", own(KERNEL_SYMBOL, bytes(200_000)), with_formats=True, sections={})
    offset, size = struct.unpack_from("<QQ", content, DATA_OFFSET)
    quality = harness.trace.read(written(tmp_path, content[: offset + size - 100_000])).quality
    assert (quality.whole, quality.unread_bytes) == (False, 100_000)

"""A recording that zstd compressed as a whole is read like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

import harness.trace
from harness.errors import TraceError
from harness.trace.perf_data.zstd import DecompressedFile


def test_a_compressed_recording_gives_the_same_tables(nginx_recording: Path, tmp_path: Path) -> None:
    compressed = tmp_path / "perf.data.zst"
    compressed.write_bytes(zstandard.ZstdCompressor().compress(nginx_recording.read_bytes()))
    trace = harness.trace.read(compressed)
    assert trace.path == compressed
    assert trace.switches.equals(harness.trace.read(nginx_recording).switches)
    assert harness.trace.convert(compressed, tmp_path / "out").rows["switches"] == 5_756


def test_a_damaged_compressed_recording_is_a_trace_error(nginx_recording: Path, tmp_path: Path) -> None:
    compressed = tmp_path / "perf.data.zst"
    content = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(nginx_recording.read_bytes()))
    content[1000] ^= 0xFF
    compressed.write_bytes(bytes(content))
    with pytest.raises(TraceError, match="damaged") as caught:
        harness.trace.read(compressed)
    assert str(compressed) in str(caught.value)


def test_an_error_of_reading_a_compressed_recording_is_not_taken_for_one_of_writing() -> None:
    with pytest.raises(TraceError, match="cannot read the recording: Input/output error"):
        DecompressedFile(Path("/proc/self/mem"))  # it can be opened, but nothing can be read at its beginning

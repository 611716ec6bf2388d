"""Damaged, cut and unfinished recordings: the rest is read, the loss is reported, and nothing crashes."""

from __future__ import annotations

import os
import struct
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest
import read_and_convert
from hypothesis import given, settings
from hypothesis import strategies as st
from shorten import DATA_OFFSET, DATA_SIZE

import harness.trace
from harness.errors import TraceError

pytestmark = pytest.mark.slow

LIMIT_S = 20  # of CPU time, for any file of the size of these: they take a fraction of a second


def write(folder: Path, data: bytes) -> Path:
    path = folder / "perf.data"
    path.write_bytes(data)
    return path


def cut(data: bytes, share: float) -> bytes:
    offset, size = struct.unpack_from("<QQ", data, DATA_OFFSET)
    return data[: int(offset + share * size)]


@pytest.fixture(scope="module")
def whole(nginx_recording: Path) -> bytes:
    return nginx_recording.read_bytes()


def test_a_shortened_recording_is_still_a_whole_one(small: bytes, tmp_path: Path) -> None:
    quality = harness.trace.read(write(tmp_path, small)).quality
    assert quality.samples > 30
    assert (quality.decode_errors, quality.truncated, quality.killed) == (0, False, False)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_cut_file_is_never_taken_for_whole(share: float, whole: bytes, tmp_path: Path, nginx_recording: Path) -> None:
    path = write(tmp_path, cut(whole, share))
    trace = harness.trace.read(path)
    assert trace.quality.truncated
    assert not trace.quality.whole
    assert any("bytes of its data are missing" in warning for warning in trace.quality.warnings)
    with pytest.raises(TraceError, match="not whole"):
        harness.trace.read(path, strict=True)
    recovered = harness.trace.read(path, formats_from=nginx_recording).switches
    complete = harness.trace.read(nginx_recording).switches
    assert recovered.to_pylist() == complete.slice(0, recovered.num_rows).to_pylist()
    assert abs(recovered.num_rows / complete.num_rows - share) < 0.05


def test_the_file_of_a_killed_recorder_is_never_taken_for_whole(
    whole: bytes, tmp_path: Path, nginx_recording: Path
) -> None:
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    killed = bytearray(whole[: offset + size])
    struct.pack_into("<Q", killed, DATA_SIZE, 0)
    path = write(tmp_path, bytes(killed))
    quality = harness.trace.read(path).quality
    assert quality.killed
    assert not quality.whole
    assert any("killed" in warning for warning in quality.warnings)
    recovered = harness.trace.read(path, formats_from=nginx_recording)
    assert recovered.quality.killed
    assert recovered.switches.to_pylist() == harness.trace.read(nginx_recording).switches.to_pylist()


def test_a_file_that_is_no_recording_is_refused_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, b"#!/bin/sh\necho hello\n" * 10)
    with pytest.raises(TraceError, match=r"no perf\.data file") as caught:
        harness.trace.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PERF", b"PERFILE2", b"PERFILE2" + bytes(96)])
def test_a_header_that_is_cut_is_a_trace_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(TraceError):
        harness.trace.read(write(tmp_path, content))


def test_a_damaged_header_is_an_error_that_says_what_to_do(small: bytes, tmp_path: Path) -> None:
    attrs = struct.pack("<QQ", 104, 7)  # a size that holds no whole attr
    path = write(tmp_path, small[:24] + attrs + small[40:])
    with pytest.raises(TraceError, match="does not hold attrs") as caught:
        harness.trace.read(path)
    assert str(caught.value.where) == str(path)
    assert caught.value.hint == "it is damaged: copy or record it again"


def test_a_missing_file_is_a_trace_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        harness.trace.read(tmp_path / "nothing")


def assert_tables_or_trace_error(data: bytes) -> None:
    """Any bytes give tables or one TraceError, in bounded time and memory, and the same from `read` and `convert`."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), data)
        started = time.process_time()  # of this process alone, so that a busy machine does not matter
        tracemalloc.start()
        read_and_convert.assert_same(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert time.process_time() - started < LIMIT_S
        assert peak < 40 << 20


# a longer search: HARNESS_EXPLORE=1 TRACE_FUZZ_EXAMPLES=20000 pytest tests/unit/trace/perf_data/test_damage.py
EXAMPLES = int(os.environ.get("TRACE_FUZZ_EXAMPLES", "25"))
slow = settings(max_examples=EXAMPLES)


def mutated(whole: bytes, data: st.DataObject, head: int) -> bytes:
    """`whole` with some bytes changed, those of its first `head` bytes more often."""
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        offset = data.draw(st.one_of(st.integers(0, head), st.integers(0, len(whole) - 1)))
        value = data.draw(st.one_of(st.sampled_from([b"\0", b"\xff", b"\xff" * 8, b"\x7f" + b"\xff" * 7]), st.binary()))
        changed[offset : offset + len(value)] = value
    return bytes(changed)


@slow
@given(st.data())
def test_changed_bytes_never_crash_the_reader(small: bytes, data: st.DataObject) -> None:
    assert_tables_or_trace_error(mutated(small, data, 1500))


@slow
@given(st.data())
def test_changed_bytes_of_a_recording_from_a_pipe_never_crash_the_reader(piped: bytes, data: st.DataObject) -> None:
    assert_tables_or_trace_error(mutated(piped, data, 1500))


@settings(slow, max_examples=max(1, EXAMPLES // 2))  # each takes several times longer than the other examples
@given(st.data())
def test_changed_bytes_of_a_compressed_recording_never_crash_the_reader(compressed: bytes, data: st.DataObject) -> None:
    assert_tables_or_trace_error(mutated(compressed, data, 1500))


@slow
@given(st.data())
def test_changed_bytes_after_the_header_never_crash_the_reader(small: bytes, data: st.DataObject) -> None:
    offset, size = struct.unpack_from("<QQ", small, DATA_OFFSET)
    records = mutated(small[offset : offset + size], data, 500)[:size]
    assert_tables_or_trace_error(small[:offset] + records + small[offset + size :])


@slow
@given(st.data())
def test_changed_parts_of_the_header_never_crash_the_reader(small: bytes, data: st.DataObject) -> None:
    """The table behind the data, and each of the parts that it lists, are changed as often as the others."""
    offset, size = struct.unpack_from("<QQ", small, DATA_OFFSET)
    changed, table = small, offset + size
    entries = sum(byte.bit_count() for byte in small[72:104])
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, entries))
        at, length = struct.unpack_from("<QQ", small, table + 16 * index) if index < entries else (table, 16 * entries)
        part = mutated(changed[at : at + length], data, min(64, length - 1))[:length]
        changed = changed[:at] + part + changed[at + length :]
    assert_tables_or_trace_error(changed)


@slow
@given(st.data())
def test_any_cut_never_crashes_the_reader(small: bytes, data: st.DataObject) -> None:
    assert_tables_or_trace_error(small[: data.draw(st.integers(0, len(small)))])


@slow
@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_never_crash_the_reader(tail: bytes) -> None:
    assert_tables_or_trace_error(b"PERFILE2" + struct.pack("<Q", 104) + tail)
    assert_tables_or_trace_error(b"2ELIFREP" + struct.pack(">Q", 104) + tail)

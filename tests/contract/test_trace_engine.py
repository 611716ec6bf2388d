"""The contract of the decoder: counts, released rows, buffers of any size, damaged records."""

from __future__ import annotations

import gc
import lzma
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import LIMIT_S
from locations import DATA

import harness.trace
from harness.errors import TraceError
from harness.trace.converter import ALL_TABLES, convert
from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.perf_data.recording import Recording, open_recording
from harness.trace.perf_data.records import PADDING
from harness.trace.tables.schemas import EVENT_TABLES

DATA_SECTION = 40  # offset of the pair (offset, size) of the records in the header
TIME = 32  # offset of the time in each of its samples
SWITCHES, SAMPLES = 5756, 15638  # of the kept recording, as `perf script` prints them


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("kept") / "perf.data"
    target.write_bytes(lzma.decompress((DATA / "nginx_ab_one_cpu.perf.data.xz").read_bytes()))
    return target


@pytest.fixture
def recording(kept: Path) -> Recording:
    return open_recording(kept)


@pytest.fixture
def decoder(recording: Recording) -> NativeDecoder:
    return NativeDecoder(recording.header)


def later(data: bytes) -> bytes:
    """Return the same recording with every sample one second later."""
    changed, (offset, size) = bytearray(data), struct.unpack_from("<QQ", data, DATA_SECTION)
    end = offset + size
    while offset < end:
        kind, _, length = struct.unpack_from("<IHH", changed, offset)
        if kind == 9:
            time = struct.unpack_from("<Q", changed, offset + TIME)[0]
            struct.pack_into("<Q", changed, offset + TIME, time + 10**9)
        offset += length
    return bytes(changed)


def feed(recording: Recording, decoder: NativeDecoder, chunk_bytes: int = 1 << 20) -> None:
    for part in recording.parts:
        for _ in part.feed(decoder, chunk_bytes):
            pass


def test_the_decoder_counts_every_sample(recording: Recording, decoder: NativeDecoder) -> None:
    feed(recording, decoder)
    stats = decoder.stats()
    assert stats.samples == SAMPLES == sum(stats.counts.values())
    assert (stats.bad, stats.lost_events, stats.inversions) == (0, 0, 0)
    assert (stats.first_ns, stats.span_ns) == (2104323808796, 82235622)
    assert stats.counts["sched:sched_switch"] == SWITCHES


def test_rows_are_kept_until_they_are_released(recording: Recording, decoder: NativeDecoder) -> None:
    feed(recording, decoder)
    rows = decoder.rows
    middle = (decoder.stats().first_ns + decoder.stats().last_ns) // 2
    first = decoder.release(middle)
    assert max(int(block["time_ns"][-1]) for block in first.values()) < middle
    rest = decoder.release_all()
    assert min(int(block["time_ns"][0]) for block in rest.values()) >= middle
    released = sum(len(block["time_ns"]) for blocks in (first, rest) for block in blocks.values())
    assert (released, decoder.rows) == (rows, 0)
    assert (decoder.stats().cpus, decoder.stats().chain_breaks) == ((1,), 7)


def test_a_decoder_that_only_counts_keeps_no_rows(recording: Recording) -> None:
    counter = NativeDecoder(recording.header, counts_only=True)
    feed(recording, counter)
    assert (counter.stats().samples, counter.rows) == (SAMPLES, 0)


def test_columns_outlive_the_decoder_that_made_them(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "later.perf.data"
    path.write_bytes(later(kept.read_bytes()))
    held = [harness.trace.read(kept).switches["time_ns"] for _ in range(4)]
    expected = held[0].to_pylist()
    gc.collect()
    others = [harness.trace.read(path).switches["time_ns"] for _ in held]  # these reuse memory that was freed
    assert others[0].to_pylist() != expected
    assert [times.to_pylist() for times in held] == [expected] * len(held)


AT_EXIT = """
import atexit, sys

def read_columns():
    print(times.to_pylist() == before, len(before))

atexit.register(read_columns)  # registered before anything of the reader, so it is called after all of that
import harness.trace
times = harness.trace.read(sys.argv[1]).switches["time_ns"]
before = times.to_pylist()
"""


def test_columns_can_be_read_while_the_interpreter_exits(kept: Path) -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT, str(kept)], capture_output=True, text=True, timeout=LIMIT_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"True {SWITCHES}\n", "")


@pytest.mark.parametrize("chunk_bytes", [1 << 16, 100_008, 1 << 20])
def test_how_a_recording_is_cut_into_buffers_makes_no_difference(chunk_bytes: int, kept: Path, tmp_path: Path) -> None:
    done = convert(kept, tmp_path, chunk_bytes=chunk_bytes, release_rows=1000)
    trace = harness.trace.read(kept)
    assert done.quality == trace.quality
    for name in EVENT_TABLES:
        assert pq.read_table(done.paths[name]).to_pylist() == getattr(trace, name).to_pylist()
    assert set(done.paths) == set(ALL_TABLES)


def record(kind: int, size: int) -> bytes:
    return struct.pack("<IHH", kind, 0, size).ljust(max(size, 8), b"\0")


@pytest.mark.parametrize(
    ("records", "taken", "reason"),
    [
        ([], 0, ""),
        ([record(3, 16)], 16, ""),
        ([record(3, 16), b"\3\0\0\0"], 16, "cut"),
        ([record(3, 16), record(9, 64)[:40]], 16, "cut"),
        ([record(3, 16), record(3, 7)], 16, "broken"),
        ([record(3, 16), record(3, 0)], 16, "broken"),
        ([record(3, 16), record(3, 17)], 16, "skip"),
        ([record(3, 16), record(71, 16)], 16, "skip"),
        ([record(3, 16), record(66, 65528)], 16, "skip"),
    ],
)
def test_the_decoder_stops_where_it_must_and_returns_the_reason(
    records: list[bytes], taken: int, reason: str, decoder: NativeDecoder
) -> None:
    data = b"".join(records)
    assert decoder.take(bytearray(data + bytes(PADDING)), len(data)) == (taken, reason)


@pytest.mark.parametrize("size", [8, 16, 40, 60, 64])
def test_samples_that_are_too_short_are_counted_and_hold_no_row(
    size: int, recording: Recording, decoder: NativeDecoder
) -> None:
    known = struct.pack("<Q", min(recording.header.ids))
    data = (record(9, size // 8 * 8)[:8] + known).ljust(size // 8 * 8, b"\0")[: size // 8 * 8]
    decoder.take(bytearray(data + bytes(PADDING)), len(data))
    assert (decoder.stats().samples, decoder.stats().bad, decoder.rows) == (1, 1, 0)


def test_losses_too_large_to_add_up_end_at_the_largest_number(decoder: NativeDecoder) -> None:
    lost = struct.pack("<IHHQQ", 2, 0, 24, 1, (1 << 64) - 1) * 3
    decoder.take(bytearray(lost + bytes(PADDING)), len(lost))
    assert decoder.stats().lost_events == (1 << 63) - 1


def test_a_file_that_is_cut_is_read_up_to_there(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "perf.data"
    path.write_bytes(kept.read_bytes()[:600_003])
    quality = harness.trace.read(path, formats_from=kept).quality
    assert quality.truncated
    assert 3000 < quality.samples < SAMPLES
    with pytest.raises(TraceError, match="not whole"):
        harness.trace.read(path, formats_from=kept, strict=True)

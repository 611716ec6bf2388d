"""Every byte that is missing or was not read is counted, wherever it lies, and makes a recording not whole."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import zstandard
from forge import Forge
from perf_record import record_to_pipe
from shorten import DATA_OFFSET

import harness.trace
from harness.trace.perf_data.compressed_records import COMPRESSED_RECORDS
from harness.trace.perf_data.constants import PERF_RECORD_COMPRESSED, PERF_RECORD_SAMPLE
from harness.trace.perf_data.recording import open_recording
from harness.trace.quality import TraceQuality, damage, folded

LOST, EXIT, LOST_SAMPLES, ROUND_END = 2, 4, 13, 68  # types of records


def data_section(whole: bytes) -> tuple[int, int]:
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    return offset, size


def record_after(whole: bytes, share: float) -> int:
    """Offset of the first record after this share of the data."""
    offset, size = data_section(whole)
    at = offset
    while at < offset + share * size:
        at += struct.unpack_from("<H", whole, at + 6)[0]
    return at


def end_of_last_sample(path: Path) -> int:
    """Offset behind the last record of the output of a pipe that is a sample, or holds some."""
    data, content = open_recording(path).header.data, path.read_bytes()
    at, last = data.offset, 0
    while at < data.end:
        kind, _misc, size = struct.unpack_from("<IHH", content, at)
        at += size
        last = at if kind in (PERF_RECORD_SAMPLE, *COMPRESSED_RECORDS) else last
    return last


def damaged(folder: Path, content: bytes) -> TraceQuality:
    path = folder / "perf.data"
    path.write_bytes(content)
    quality = harness.trace.read(path).quality
    assert (quality.whole, quality.truncated) == (False, True)
    assert f"{quality.unread_bytes:,} bytes not read" in damage(quality) or not quality.unread_bytes
    if not quality.empty:
        assert harness.trace.convert(path, folder / "tables").quality == quality
    return quality


@pytest.fixture(scope="module")
def whole(nginx_recording: Path) -> bytes:
    return nginx_recording.read_bytes()


def test_of_a_cut_file_what_is_missing_and_the_cut_record_are_counted(whole: bytes, tmp_path: Path) -> None:
    offset, size = data_section(whole)
    at = record_after(whole, 0.5)
    quality = damaged(tmp_path, whole[: at + 20])
    assert quality.unread_bytes == offset + size - at


def test_of_a_broken_record_all_that_follows_is_counted(whole: bytes, tmp_path: Path) -> None:
    offset, size = data_section(whole)
    at = record_after(whole, 0.2)
    quality = damaged(tmp_path, whole[: at + 6] + b"\0\0" + whole[at + 8 :])
    assert quality.unread_bytes == offset + size - at > 1 << 20
    assert any("impossible size" in warning for warning in quality.warnings)


def test_of_compressed_records_the_rest_after_a_damaged_one_is_counted(compressed: bytes, tmp_path: Path) -> None:
    offset, size = data_section(compressed)
    changed = bytearray(compressed)
    at = record_after(compressed, 0.3)
    while struct.unpack_from("<I", compressed, at)[0] != PERF_RECORD_COMPRESSED:
        at += struct.unpack_from("<H", compressed, at + 6)[0]
    changed[at + 8 : at + 2000] = b"\xa5" * 1992
    quality = damaged(tmp_path, bytes(changed))
    assert quality.unread_bytes == offset + size - (at + 8)
    assert any("cannot be decompressed" in warning for warning in quality.warnings)


def test_of_a_cut_compressed_recording_what_is_missing_is_counted(compressed: bytes, tmp_path: Path) -> None:
    offset, size = data_section(compressed)
    quality = damaged(tmp_path, compressed[: offset + size // 2])
    assert size // 2 <= quality.unread_bytes < size


def test_a_second_recording_in_a_file_is_counted(whole: bytes, tmp_path: Path) -> None:
    quality = damaged(tmp_path, whole + whole)
    assert quality.unread_bytes == len(whole)
    assert any("another recording follows this one" in warning for warning in quality.warnings)


def test_a_second_recording_from_a_pipe_is_counted(piped: bytes, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(piped)
    cut = harness.trace.read(tmp_path / "one").quality.unread_bytes  # the kept one ends within a record
    first = piped[: len(piped) - cut]
    quality = damaged(tmp_path, first + piped)
    assert quality.unread_bytes == len(piped)
    assert any("another recording begins" in warning for warning in quality.warnings)


def test_a_second_recording_from_a_pipe_that_is_compressed_is_counted_and_is_no_record(tmp_path: Path) -> None:
    content = record_to_pipe(tmp_path / "one", "-z", rounds=1).read_bytes()
    quality = damaged(tmp_path, content + content)
    assert (quality.unread_bytes, quality.unknown_records) == (len(content), 0)
    assert (
        f"perf.data: another recording begins: the last {len(content)} bytes of data are not read" in quality.warnings
    )


@pytest.mark.parametrize("options", [(), ("-z",)], ids=str)
def test_the_output_of_a_pipe_that_ends_after_a_whole_sample_is_not_whole(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    path = record_to_pipe(tmp_path / "perf.data", *options, rounds=1)
    assert not harness.trace.read(path).quality.truncated
    quality = damaged(tmp_path, path.read_bytes()[: end_of_last_sample(path)])
    assert any("the output of the pipe ends within a round" in warning for warning in quality.warnings)


@pytest.mark.parametrize(("kind", "ends_well"), [(LOST, False), (EXIT, False), (LOST_SAMPLES, True), (ROUND_END, True)])
def test_the_output_of_a_pipe_ends_well_after_what_perf_writes_last(
    kind: int, ends_well: bool, piped: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "perf.data"
    path.write_bytes(piped)
    cut = harness.trace.read(path).quality.unread_bytes  # the kept one ends within a record
    path.write_bytes(piped[: len(piped) - cut] + struct.pack("<IHH48x", kind, 0, 56))
    assert harness.trace.read(path).quality.truncated != ends_well


def test_other_bytes_after_a_recording_are_counted_and_zeros_are_not(whole: bytes, tmp_path: Path) -> None:
    assert damaged(tmp_path, whole + b"sent from my phone").unread_bytes == 18
    (tmp_path / "perf.data").write_bytes(whole + bytes(512))
    quality = harness.trace.read(tmp_path / "perf.data").quality
    assert (quality.unread_bytes, quality.truncated) == (0, False)


def test_a_skipped_record_whose_payload_is_cut_makes_a_recording_not_whole(piped: bytes, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(piped)
    cut = harness.trace.read(tmp_path / "one").quality.unread_bytes
    auxtrace = struct.pack("<IHHQ", 71, 0, 16, 1 << 20)
    quality = damaged(tmp_path, piped[: len(piped) - cut] + auxtrace + bytes(100))
    assert any("the last record is cut" in warning for warning in quality.warnings)


def test_warnings_that_are_alike_become_one_with_their_number() -> None:
    lines = ["b", *(f"feature {number} cannot be read" for number in range(20)), "a"]
    assert folded(lines) == ["b", "feature 0 cannot be read (and 19 more like this)", "a"]
    assert folded([]) == []


def test_the_features_that_a_cut_file_lacks_are_one_warning(whole: bytes, tmp_path: Path) -> None:
    offset, size = data_section(whole)
    quality = damaged(tmp_path, whole[: offset + size - 8])
    about_features = [warning for warning in quality.warnings if "feature" in warning]
    assert len(about_features) == 1
    assert about_features[0].endswith(" (and 19 more like this)")


def test_compressed_records_that_unpack_to_gigabytes_end_at_a_limit(tmp_path: Path) -> None:
    forge, stream = Forge(), zstandard.ZstdCompressor().compressobj()
    switches = b"".join(map(forge.sample, [(1, 0, b"a", 1, 1, b"b", 2), (2, 0, b"b", 2, 1, b"a", 1)])) * 5000
    packed = b"".join(stream.compress(switches) for _ in range(1500)) + stream.flush()
    pieces = [packed[at : at + 60_000] for at in range(0, len(packed), 60_000)]
    records = [forge.record(PERF_RECORD_COMPRESSED, piece) for piece in pieces]
    path = tmp_path / "perf.data"
    path.write_bytes(Forge(others=records, more_features={27: bytes(20)}).write([]))
    summary = harness.trace.summarize(path)
    assert summary.quality.truncated
    assert "unpack to more than 500 times their size" in " ".join(summary.quality.warnings)
    assert summary.quality.unread_bytes > 0

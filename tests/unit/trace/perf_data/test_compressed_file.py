"""A recording that was compressed as a whole is read like any other; a damaged one as far as it can be unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.trace
from harness.errors import HostError, TraceError
from harness.trace.perf_data.compressed_file import DecompressedFile

Pack = Callable[[bytes], bytes]


def zipped(content: bytes, *names: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        for name in names or ("perf.data",):
            members.writestr(name, content)
    return archive.getvalue()


def skipped_and_two_frames(content: bytes) -> bytes:
    pack, half = zstandard.ZstdCompressor(write_checksum=True).compress, len(content) // 2
    return b"\x50\x2a\x4d\x18\4\0\0\0size" + pack(content[:half]) + pack(content[half:])


PACKS: dict[str, Pack] = {
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zstd in frames": skipped_and_two_frames,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zip": zipped,
}
every_kind = pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "sent"
    path.write_bytes(content)
    return path


@every_kind
def test_a_compressed_recording_gives_the_same_tables_whatever_its_name(
    pack: Pack, nginx_recording: Path, tmp_path: Path
) -> None:
    compressed = write(tmp_path, pack(nginx_recording.read_bytes()))
    trace, plain = harness.trace.read(compressed), harness.trace.read(nginx_recording)
    assert trace.path == compressed
    assert trace.switches.equals(plain.switches)
    assert trace.quality == plain.quality


def test_a_compressed_recording_is_converted(nginx_recording: Path, tmp_path: Path) -> None:
    compressed = write(tmp_path, gzip.compress(nginx_recording.read_bytes()))
    assert harness.trace.convert(compressed, tmp_path / "out").rows["switches"] == 5_756


@every_kind
def test_a_cut_compressed_recording_is_read_as_far_as_it_goes(
    pack: Pack, nginx_recording: Path, tmp_path: Path
) -> None:
    packed = pack(nginx_recording.read_bytes())
    trace = harness.trace.read(write(tmp_path, packed[: len(packed) * 4 // 5]), formats_from=nginx_recording)
    whole = harness.trace.read(nginx_recording).switches
    assert 0 < trace.switches.num_rows < whole.num_rows
    assert trace.switches.to_pylist() == whole.slice(0, trace.switches.num_rows).to_pylist()
    assert (trace.quality.whole, trace.quality.truncated) == (False, True)
    assert any("file is cut: its end is not unpacked" in warning for warning in trace.quality.warnings)
    assert "perf.data-" not in " ".join(trace.quality.warnings)


@every_kind
def test_of_a_damaged_compressed_recording_the_reason_is_given(
    pack: Pack, nginx_recording: Path, tmp_path: Path
) -> None:
    packed = bytearray(pack(nginx_recording.read_bytes()))
    near_the_end = len(packed) * 9 // 10
    packed[near_the_end : near_the_end + 64] = b"\xa5" * 64
    path = write(tmp_path, bytes(packed))
    said = " ".join(harness.trace.read(path, formats_from=nginx_recording).quality.warnings)
    assert "file is damaged: " in said


@pytest.mark.parametrize("kind", ["zstd", "gzip", "xz", "bzip2"])
@pytest.mark.parametrize("rest", [b"x", b"sent from my phone, which is longer than any magic"], ids=["short", "long"])
def test_what_follows_the_contents_of_a_compressed_file_makes_it_damaged(
    kind: str, rest: bytes, small: bytes, tmp_path: Path
) -> None:
    quality = harness.trace.read(write(tmp_path, PACKS[kind](small) + rest)).quality
    assert not quality.whole
    assert any(f"the {kind} file is " in warning for warning in quality.warnings)


@pytest.mark.parametrize("pack", [lzma.compress, bz2.compress])
@pytest.mark.parametrize("zeros", [0, 4, 64, 1 << 14])
def test_streams_that_follow_each_other_with_zeros_between_and_after_are_whole(
    pack: Pack, zeros: int, small: bytes, tmp_path: Path
) -> None:
    half, padding = len(small) // 2, bytes(zeros)
    path = write(tmp_path, pack(small[:half]) + padding + pack(small[half:]) + padding)
    (tmp_path / "plain").write_bytes(small)
    assert harness.trace.read(path).quality == harness.trace.read(tmp_path / "plain").quality


def test_zeros_that_do_not_pad_an_xz_file_to_four_bytes_are_damage(small: bytes, tmp_path: Path) -> None:
    quality = harness.trace.read(write(tmp_path, lzma.compress(small) + bytes(6))).quality
    assert any("6 zeros follow its contents, no multiple of 4" in warning for warning in quality.warnings)


def test_a_compressed_file_that_is_damaged_at_its_beginning_is_an_error_with_its_name(
    nginx_recording: Path, tmp_path: Path
) -> None:
    path = write(tmp_path, b"BZh9" + bytes(1000))
    with pytest.raises(TraceError, match="nothing can be unpacked from this bzip2 file: it is damaged") as caught:
        harness.trace.read(path)
    assert str(caught.value).startswith(f"{path}: ")


@every_kind
def test_a_compressed_file_of_which_only_the_beginning_is_there_is_an_error_with_its_name(
    pack: Pack, nginx_recording: Path, tmp_path: Path
) -> None:
    path = write(tmp_path, pack(nginx_recording.read_bytes())[:40])
    with pytest.raises(TraceError, match="is cut") as caught:
        harness.trace.read(path)
    assert str(path) in str(caught.value)
    assert "perf.data-" not in str(caught.value)


def test_a_way_of_compression_that_is_not_read_is_not_taken_for_damage(small: bytes, tmp_path: Path) -> None:
    window = zstandard.ZstdCompressionParameters(window_log=30)
    packer = zstandard.ZstdCompressor(compression_params=window).compressobj()  # it does not know the size beforehand
    with pytest.raises(TraceError, match=r"compressed in a way that is not read here .* unpack it yourself"):
        harness.trace.read(write(tmp_path, packer.compress(small) + packer.flush()))


@pytest.mark.parametrize("pack", [partial(lzma.compress, preset=0), bz2.compress, zstandard.ZstdCompressor().compress])
def test_a_file_that_unpacks_to_far_too_much_is_refused(pack: Pack, tmp_path: Path) -> None:
    bomb = write(tmp_path, pack(b"PERFILE2" + bytes(70 << 20)))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(TraceError, match="unpacks to more than 500 times its size") as caught:
        harness.trace.read(bomb)
    assert str(bomb) in str(caught.value)


def test_what_is_no_recording_is_not_unpacked_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="only zeros"):
        harness.trace.read(write(tmp_path, gzip.compress(bytes(50 << 20))))


def test_an_archive_of_several_files_is_refused_and_names_them(small: bytes, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"holds 2 files: one/perf\.data, two/perf\.data"):
        harness.trace.read(write(tmp_path, zipped(small, "one/perf.data", "two/perf.data")))


@every_kind
@settings(max_examples=25)
@given(data=st.data())
def test_changed_bytes_of_a_compressed_file_give_tables_or_an_error_that_names_it(
    pack: Pack, data: st.DataObject, small: bytes, tmp_path: Path
) -> None:
    packed = bytearray(pack(small))
    for _ in range(data.draw(st.integers(1, 4))):
        offset = data.draw(
            st.one_of(st.integers(0, 60), st.integers(1, len(packed)).map(lambda back: len(packed) - back))
        )
        packed[offset : offset + 2] = data.draw(st.sampled_from([b"\0", b"\xff", b"\xff\xff", b"\1\0"]))
    path = write(tmp_path, bytes(packed))
    try:
        said = [str(path), *harness.trace.read(path).quality.warnings]
    except TraceError as error:
        said = [str(error)]
    assert str(path) in said[0]
    assert not [line for line in said if "perf.data-" in line]


def test_a_zip_archive_whose_list_of_contents_is_damaged_is_an_error(small: bytes, tmp_path: Path) -> None:
    packed = bytearray(zipped(small, "perf-\u00e4.data"))
    packed[packed.rindex(b"perf-")] = 0xFF
    with pytest.raises(TraceError, match="nothing can be unpacked from this zip file: it is damaged"):
        harness.trace.read(write(tmp_path, bytes(packed)))


def test_what_a_mac_adds_to_an_archive_is_left_aside(small: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, zipped(small, "perf.data", "__MACOSX/._perf.data", ".DS_Store"))
    assert harness.trace.read(path).quality.samples > 30


def test_a_disk_without_room_for_the_copy_is_an_error_that_names_the_recording(
    small: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, gzip.compress(small))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("wb"))  # noqa: SIM115
    with pytest.raises(HostError, match="too full") as caught:
        harness.trace.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_error_of_reading_a_compressed_recording_is_not_taken_for_one_of_writing() -> None:
    memory = Path("/proc/self/mem")  # it can be opened, but nothing can be read at its beginning
    with memory.open("rb") as file, pytest.raises(TraceError, match="cannot read the recording: Input/output error"):
        DecompressedFile(memory, file, "zstd")

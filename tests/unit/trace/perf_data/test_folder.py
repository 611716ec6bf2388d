"""A folder of `perf record --threads` from which something was lost is never taken for whole."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from perf_record import record
from shorten import DATA_OFFSET, DATA_SIZE

import harness.trace
from harness.errors import TraceError
from harness.trace.perf_data.constants import HEADER_DIR_FORMAT
from harness.trace.perf_data.folder import lacking_files
from harness.trace.perf_data.header import Header
from harness.trace.quality import TraceQuality

CPUS = sorted(os.sched_getaffinity(0))[:2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(len(CPUS) < 2, reason="perf makes a file for each CPU")]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of two CPUs, to which its load is bound, so that both have events."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CPUS)
    try:
        options = ("--threads", "-C", ",".join(map(str, CPUS)))
        return record(tmp_path_factory.mktemp("threads") / "perf.data", *options, rounds=2)
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "perf.data"))


def quality_of_a_damaged(path: Path) -> TraceQuality:
    quality = harness.trace.read(path).quality
    assert (quality.whole, quality.truncated) == (False, True)
    return quality


def test_a_whole_folder_lacks_nothing(folder: Path) -> None:
    quality = harness.trace.read(folder).quality
    assert (quality.truncated, quality.unread_bytes) == (False, 0)


def test_an_event_of_perf_on_all_cpus_calls_for_no_files_of_cpus_that_were_left_out() -> None:
    header = Header(ids={1: 0, 2: 1, 3: 1}, nrcpus=2, features={HEADER_DIR_FORMAT})
    assert lacking_files(header, [], is_folder=True) == ["the folder lacks data.0"]


@pytest.mark.parametrize("name", ["data.0", "data.1"])
def test_a_missing_file_is_named_even_the_last(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"the folder lacks {name}" in quality_of_a_damaged(folder).warnings


def test_an_emptied_file_is_named(folder: Path) -> None:
    (folder / "data.0").write_bytes(b"")
    assert "empty in the folder, while others are not: data.0" in quality_of_a_damaged(folder).warnings


def test_a_cut_file_is_named_with_the_bytes_that_are_not_read(folder: Path) -> None:
    cut = folder / "data.1"
    cut.write_bytes(cut.read_bytes()[:-12])
    quality = quality_of_a_damaged(folder)
    assert 0 < quality.unread_bytes < 1 << 16
    expected = f"data.1: the last record is cut: the last {quality.unread_bytes} bytes of data are not read"
    assert expected in quality.warnings


@pytest.mark.parametrize(
    "replace",
    [Path.mkdir, lambda path: path.symlink_to("nowhere"), os.mkfifo],
    ids=["a folder", "a dangling link", "a pipe"],
)
def test_what_is_no_file_in_the_folder_is_an_error_that_names_it(folder: Path, replace: Callable[[Path], None]) -> None:
    (folder / "data.1").unlink()
    replace(folder / "data.1")
    with pytest.raises(TraceError, match="cannot read the recording") as caught:
        harness.trace.read(folder)
    assert str(caught.value).startswith(f"{folder / 'data.1'}: ")


def test_the_file_with_the_header_alone_is_no_whole_recording(folder: Path) -> None:
    quality = quality_of_a_damaged(folder / "data")
    assert "this is only the file `data` of a folder of perf; give the whole folder" in quality.warnings


def test_the_compressed_folder_of_a_killed_recorder_is_read(folder: Path, tmp_path: Path) -> None:
    packed = record(tmp_path / "packed", "--threads", "-z", rounds=2)
    samples = harness.trace.read(packed).quality.samples
    main = bytearray((packed / "data").read_bytes())
    offset, size = struct.unpack_from("<QQ", main, DATA_OFFSET)
    struct.pack_into("<Q", main, DATA_SIZE, 0)
    (packed / "data").write_bytes(main[: offset + size])
    quality = harness.trace.read(packed, formats_from=folder).quality
    assert quality.killed
    assert quality.samples == sum(quality.counts.values()) == samples

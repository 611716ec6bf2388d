"""Errors of an export name the file that is at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HostError, TraceError, UsageError
from harness.trace.export import export


@pytest.mark.parametrize("kind", ["csv", "perf-sched-map"])
def test_an_error_of_reading_names_the_recording_once(kind: str, tmp_path: Path) -> None:
    (tmp_path / "perf.data").write_bytes(b"no recording")
    with pytest.raises(TraceError) as caught:
        export(tmp_path / "perf.data", kind, tmp_path / "out")
    assert str(caught.value).count(str(tmp_path)) == 1


@pytest.mark.parametrize("kind", ["perfetto", "perf-sched-map"])
def test_a_file_is_written_neither_over_the_recording_nor_over_a_folder(
    kind: str, nginx_recording: Path, tmp_path: Path
) -> None:
    recording = tmp_path / "perf.data"
    recording.write_bytes(nginx_recording.read_bytes())
    for wrong, why in (
        (recording, "is the recording itself"),
        (tmp_path / "sub" / ".." / "perf.data", "is the recording itself"),
        (tmp_path, "is a folder"),
        (Path("/"), "is a folder"),
    ):
        with pytest.raises(UsageError, match=why):
            export(recording, kind, wrong)
    assert recording.read_bytes() == nginx_recording.read_bytes()


def test_a_folder_that_cannot_be_written_to_is_an_error_of_the_host(nginx_recording: Path) -> None:
    for kind in ("csv", "parquet"):
        with pytest.raises(HostError, match="could not be written"):
            export(nginx_recording, kind, Path("/proc/self"))  # it exists, and takes no files


def test_a_file_in_the_place_of_a_folder_is_an_error_of_the_host(nginx_recording: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for kind, target in (("csv", tmp_path / "file"), ("perf-sched-map", tmp_path / "file" / "map")):
        with pytest.raises(HostError, match="could not be written: Not a directory"):
            export(nginx_recording, kind, target)


def test_an_unknown_format_is_refused_with_the_known_ones(nginx_recording: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="csv, parquet, perf-sched-map, perfetto"):
        export(nginx_recording, "json", tmp_path)

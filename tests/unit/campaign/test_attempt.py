"""The compression of a recording: complete, or the recording stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from full_disk import fill_disk

from harness.campaign.attempt import compress
from harness.errors import HostError


def test_a_compressed_recording_holds_the_recording(tmp_path: Path) -> None:
    recording, content = tmp_path / "perf.data", bytes(range(256)) * 20_000  # more than a block
    recording.write_bytes(content)
    packed = compress(recording)
    assert [path.name for path in tmp_path.iterdir()] == ["perf.data.zst"]
    with packed.open("rb") as source:
        assert zstandard.ZstdDecompressor().stream_reader(source).read() == content


def test_a_recording_that_cannot_be_read_is_a_read_error(tmp_path: Path) -> None:
    recording = tmp_path / "perf.data"
    recording.symlink_to("/proc/self/mem")  # it can be opened, but not read from its beginning
    with pytest.raises(HostError, match=r"perf\.data could not be read: Input/output error"):
        compress(recording)
    assert [path.name for path in tmp_path.iterdir()] == ["perf.data"]


def test_a_full_disk_keeps_the_recording_and_no_partial_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "perf.data").write_bytes(b"recorded")
    fill_disk(monkeypatch, tmp_path)
    with pytest.raises(HostError, match=r"the disk is full: perf\.data\.zst could not be written"):
        compress(tmp_path / "perf.data")
    assert [path.name for path in tmp_path.iterdir()] == ["perf.data"]

"""What an attempt leaves of a recording: its compressed self, whole, or the recording as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from full_disk import fill_disk

from harness.campaign.attempt import compress
from harness.errors import HostError


def test_a_compressed_recording_is_the_recording(tmp_path: Path) -> None:
    recording, content = tmp_path / "perf.data", bytes(range(256)) * 20_000  # more than a block
    recording.write_bytes(content)
    packed = compress(recording)
    assert [path.name for path in tmp_path.iterdir()] == ["perf.data.zst"]
    with packed.open("rb") as source:
        assert zstandard.ZstdDecompressor().stream_reader(source).read() == content


def test_what_cannot_be_read_is_not_said_to_be_unwritable(tmp_path: Path) -> None:
    recording = tmp_path / "perf.data"
    recording.symlink_to("/proc/self/mem")  # it can be opened, and nothing lies at its beginning
    with pytest.raises(HostError, match=r"perf\.data could not be read: Input/output error"):
        compress(recording)
    assert [path.name for path in tmp_path.iterdir()] == ["perf.data"]


def test_half_a_compressed_recording_does_not_stay_on_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "perf.data").write_bytes(b"recorded")
    fill_disk(monkeypatch, tmp_path)
    with pytest.raises(HostError, match=r"the disk is full: perf\.data\.zst could not be written"):
        compress(tmp_path / "perf.data")
    assert [path.name for path in tmp_path.iterdir()] == ["perf.data"]

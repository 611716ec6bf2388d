"""An attempt at a trial: what trial.json holds, and that the recording is compressed whole or stays as it was."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from fakes import BASE, RECORDING, FakeMonitor
from full_disk import fill_disk

from harness import plan, spec
from harness.campaign import attempt
from harness.campaign.attempt import compress
from harness.errors import HostError
from harness.guest import trial as guest_trial
from harness.guest.remote import Host
from harness.noise.observation import KEYS
from harness.progress import SilentWatcher

CLOCKS = {"monotonic_s": 5.0, "boottime_s": 5.0, "realtime_s": 1_700_000_000.0}


def recorded(host: Host, trial: Any, folder: Path, *_: Any, on_phase: Callable[[str, float], None], **__: Any) -> Any:
    """Stand in for the guest: both phases at once, and the files of a real recording."""
    folder.mkdir()
    on_phase("recording", 0.0)
    on_phase("recorded", 0.0)
    (folder / "perf.data").write_bytes(lzma.decompress(RECORDING.read_bytes()))
    guest = {"facts": {}, "load": {"ActiveState": "active"}, "metrics": {"requests_completed": 9}}
    guest["recording"] = {"clock_before": CLOCKS, "clock_after": {**CLOCKS, "realtime_s": 1_700_000_060.0}}
    metrics = {"requests_per_s": 432.1}
    return guest_trial.TrialFiles(folder / "perf.data", folder / "load.txt", folder / "guest.json", guest, metrics, 1.0)


@pytest.mark.slow
def test_trial_json_holds_what_the_host_did_and_the_clock_of_the_recording(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(guest_trial, "run", recorded)
    (trial,) = plan.trials(spec.from_dict({**BASE, "trials": {"repeat": 1}}))
    machine = {"kernel": "6.1.0", "cpus": 1, "clock": "counted", "cpu_speed": 125}
    host = Host("127.0.0.1", 22, "vagrant", tmp_path / "key", tmp_path / "known_hosts", "guest")
    made = attempt.make(host, trial, tmp_path / "t", 1, machine, SilentWatcher(), FakeMonitor())
    record = json.loads((tmp_path / "t" / "trial.json").read_text())
    assert sorted(record["host"]) == sorted(KEYS)
    assert record["host"]["clock_step_s"]["guest"] == 60.0
    assert (record["host_share"], record["clock"]) == (None, "counted")
    assert (made.detail["host_share"], made.detail["clock"]) == (None, "counted")
    assert "clock steps" in [check.name for check in made.verdict.failed]
    assert "host share" not in [check["name"] for check in record["verdict"]["checks"]]
    assert 0 < record["noise"]["contested_share"] < 1


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

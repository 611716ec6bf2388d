"""An attempt at a trial: what trial.json holds, and that the recording is compressed whole or stays as it was."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from fakes import BASE, RECORDING, FakeMonitor
from full_disk import fill_disk

from harness import plan, spec
from harness.campaign import attempt
from harness.campaign.attempt import compress
from harness.errors import HostError, TrialError
from harness.guest import trial as guest_trial
from harness.guest.remote import Host
from harness.noise.observation import KEYS, Observation
from harness.progress import SilentWatcher
from harness.store import clock
from harness.store.manifest import host_id
from harness.store.trial_record import read_trial

CLOCKS = {"monotonic_s": 5.0, "boottime_s": 5.0, "realtime_s": 1_700_000_000.0}


def recorded(host: Host, trial: Any, folder: Path, *_: Any, on_phase: Callable[[str, float], None], **__: Any) -> Any:
    """Stand in for the guest: both phases at once, and the files of a real recording."""
    folder.mkdir()
    on_phase("recording", 0.0)
    on_phase("recorded", 0.0)
    (folder / "perf.data").write_bytes(lzma.decompress(RECORDING.read_bytes()))
    guest: dict[str, Any] = {
        "boot_id": "a-boot",
        "facts": {},
        "load": {"ActiveState": "active"},
        "metrics": {"requests_completed": 9},
    }
    guest["recording"] = {"clock_before": CLOCKS, "clock_after": {**CLOCKS, "realtime_s": 1_700_000_060.0}}
    metrics = {"requests_per_s": 432.1}
    return guest_trial.TrialFiles(folder / "perf.data", folder / "load.txt", folder / "guest.json", guest, metrics, 1.0)


@pytest.mark.slow
def test_trial_json_holds_what_a_comparison_counts_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guest_trial, "run", recorded)
    one = spec.from_dict({**BASE, "sweep": {"load.concurrency": [2, 8]}, "trials": {"repeat": 2, "order": "listed"}})
    trial = replace(plan.trials(one)[2], late=True)
    machine = {"kernel": "6.1.0", "cpus": 1, "clock": "host"}
    host = Host("127.0.0.1", 22, "vagrant", tmp_path / "key", tmp_path / "known_hosts", "guest")
    before = clock.now()
    made = attempt.make(host, trial, tmp_path / "t", 1, machine, SilentWatcher(), FakeMonitor())
    assert made.detail["late"] is True
    record = read_trial(tmp_path / "t")
    assert (record["block"], record["late"], record["boot_id"]) == (1, True, "a-boot")
    assert record["host_id"] == host_id()
    assert before <= record["recorded_at"] <= clock.now()


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
    assert record["host_conditions"]["kernel"] == os.uname().release
    assert (record["host_share"], record["clock"]) == (None, "counted")
    assert (made.detail["host_share"], made.detail["clock"]) == (None, "counted")
    assert "clock steps" in [check.name for check in made.verdict.failed]
    assert "host share" not in [check["name"] for check in record["verdict"]["checks"]]
    assert 0 < record["noise"]["contested_share"] < 1


def test_trial_json_of_a_trial_without_a_tracer_holds_its_load_and_says_what_was_not_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(guest_trial, "run", untraced)
    (trial,) = plan.trials(spec.from_dict({**BASE, "trials": {"repeat": 1}, "record": {"tracer": "none"}}))
    machine = {"kernel": "6.1.0", "cpus": 1, "clock": "counted", "cpu_speed": 125}
    host = Host("127.0.0.1", 22, "vagrant", tmp_path / "key", tmp_path / "known_hosts", "guest")
    made = attempt.make(host, trial, tmp_path / "t", 1, machine, SilentWatcher(), FakeMonitor())
    record = read_trial(tmp_path / "t")
    assert (record["tracer"], record["metrics"]) == ("none", {"requests_per_s": 432.1})
    assert (record["guest_idle_share"], record["guest_switches_per_s"]) == (0.1, 640.0)
    assert record["guest_connections_per_s"] == 400.0
    assert made.detail["tracer"] == "none"
    of_a_trace = {"quality", "usage", "noise", "switches", "contested_share", "idle_share", "tracer_share"}
    assert not of_a_trace & {*record, *made.detail}
    assert record["verdict"]["left_out"][:2] == ["whole", "lost events"]
    assert {check["name"] for check in record["verdict"]["checks"]} >= {"window share", "idle share", "clock steps"}
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["trial.json"]


def untraced(host: Host, trial: Any, folder: Path, *_: Any, on_phase: Callable[[str, float], None], **__: Any) -> Any:
    """Stand in for the guest that waited in place of perf."""
    files = recorded(host, trial, folder, on_phase=on_phase)
    files.perf_data.unlink()
    ticks = {"cpu_ticks_before": {"user": 5, "idle": 5}, "cpu_ticks_after": {"user": 95, "idle": 15}}
    clock_after = {"monotonic_s": 55.0, "boottime_s": 55.0, "realtime_s": 1_700_000_050.0}
    recording = {**ticks, "switches": 32_000, "connections": 20_000, "clock_before": CLOCKS, "clock_after": clock_after}
    guest = {**files.guest, "recording": recording}
    return replace(files, perf_data=None, guest=guest)


def test_a_trial_that_had_a_tracer_and_left_no_recording_is_not_judged(tmp_path: Path) -> None:
    (trial,) = plan.trials(spec.from_dict({**BASE, "trials": {"repeat": 1}}))
    guest = {"facts": {}, "metrics": {}, "recording": {}}
    files = guest_trial.TrialFiles(None, tmp_path / "load.txt", tmp_path / "guest.json", guest, {}, 1.0)
    with pytest.raises(TrialError, match=r"there is no perf\.data of a trial that had a tracer"):
        attempt.judge(trial, files, 1, {"kernel": "6", "cpus": 1}, Observation(FakeMonitor(), 1), SilentWatcher())


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

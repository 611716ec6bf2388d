"""Failures on a real machine: each gives one clear error and leaves no machine up."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import HARNESS
from real_campaign import VIRSH, Smoke, domains, harness

from harness import machines, plan, spec
from harness.campaign import attempt
from harness.errors import ProvisionError, TrialError
from harness.guest import provision
from harness.guest import trial as guest_trial
from harness.machines import registry
from harness.plan import Trial
from harness.progress import SilentWatcher


@pytest.fixture
def trial(smoke: Smoke) -> Trial:
    return plan.trials(spec.apply(smoke.folder.experiment, {"record.seconds": 2.0, "record.warmup_s": 0.0}))[0]


def record_for_long(smoke: Smoke, trial: Trial, folder: Path, on_phase: Callable[[str, float], None]) -> None:
    """Carry out the trial with a recording of 600 s, which `on_phase` cuts short."""
    longer = plan.trials(spec.apply(trial.arm.experiment, {"record.seconds": 600.0}))[0]
    guest_trial.run(
        smoke.host,
        longer,
        folder / "t",
        SilentWatcher(),
        expected=guest_trial.expectations(longer, None, 1),
        monitor=smoke.monitor(folder),
        on_phase=on_phase,
    )


def test_a_guest_without_perf_is_an_error_that_names_it(smoke: Smoke, trial: Trial, tmp_path: Path) -> None:
    facts, monitor = smoke.folder.manifest["machine"], smoke.monitor(tmp_path)
    with smoke.host as host:
        host.run("mv $(command -v perf) /usr/bin/perf.away", timeout_s=240, sudo=True)
        try:
            with pytest.raises(TrialError, match=r"perf: no such program"):
                attempt.make(host, trial, tmp_path / "t", 1, facts, SilentWatcher(), monitor)
        finally:
            host.run("mv /usr/bin/perf.away /usr/bin/perf", timeout_s=240, sudo=True)


def test_a_load_that_ends_before_the_recording_fails_the_trial(smoke: Smoke, trial: Trial, tmp_path: Path) -> None:
    short = plan.trials(spec.apply(trial.arm.experiment, {"load.requests": 30, "record.warmup_s": 3.0}))[0]
    facts, monitor = smoke.folder.manifest["machine"], smoke.monitor(tmp_path)
    with pytest.raises(TrialError, match="the load had ended before the recording began"):
        attempt.make(smoke.host, short, tmp_path / "t", 1, facts, SilentWatcher(), monitor)


def test_a_script_that_is_killed_on_the_guest_ends_the_trial_with_its_journal(
    smoke: Smoke, trial: Trial, tmp_path: Path
) -> None:
    def kill(phase: str, late_s: float) -> None:
        if phase == "recording":
            with smoke.host as host:
                host.run("pkill -KILL -f '^python3 .*trial.py record'", timeout_s=240, sudo=True)

    with pytest.raises(TrialError, match="the guest script ended without a result") as caught:
        record_for_long(smoke, trial, tmp_path, kill)
    assert "harness-trial" in Path(str(caught.value.log)).read_text()


def test_a_failed_playbook_names_the_task_and_the_error_of_the_guest(smoke: Smoke, tmp_path: Path) -> None:
    variables = {"packages_of_role": {"perf": ["no-such-package"]}}
    with pytest.raises(ProvisionError, match="no-such-package") as caught:
        provision.apply([smoke.host], ["perf"], tmp_path, SilentWatcher(), variables)
    assert "task [" in str(caught.value)
    assert Path(str(caught.value.log)).is_file()


def test_a_killed_harness_leaves_a_machine_that_down_finds_and_removes(
    smoke: Smoke, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runs = tmp_path_factory.mktemp("killed") / "runs"
    process = harness("run", "experiments/smoke.yaml", "--runs", str(runs))
    process.until(lambda event: event.get("step") == "up:debian-12")
    deadline = time.monotonic() + 1200
    while not (up := _recorded(runs) & domains()):
        assert time.monotonic() < deadline, "the machine never came up"
        time.sleep(1)
    os.kill(process.child.pid, signal.SIGKILL)
    process.child.wait()
    left = [entry for entry in machines.left_behind() if entry.domain in up]
    assert len(left) == 1
    machines.remove(left[0])
    assert not up & domains()
    smoke.host.run("true", timeout_s=240)  # the other campaign's machine was not touched


def _recorded(runs: Path) -> set[str]:
    """Return the machines in the register whose run folder is below `runs`."""
    return {entry.domain for entry in registry.entries() if str(runs.resolve()) in entry.folder}


def test_a_machine_that_fails_in_a_trial_is_an_error_long_before_its_end(
    smoke: Smoke, trial: Trial, tmp_path: Path
) -> None:
    def destroy(phase: str, late_s: float) -> None:
        subprocess.run([*VIRSH, "destroy", smoke.domain], check=True)

    with pytest.raises(TrialError, match="somebody ended the machine"):
        record_for_long(smoke, trial, tmp_path, destroy)
    assert not (tmp_path / "t" / "perf.data").exists()


def test_down_removes_the_kept_machine_and_then_finds_none(smoke: Smoke) -> None:
    assert smoke.domain in domains()
    assert subprocess.run([*HARNESS, "down"], timeout=1200).returncode == 0
    assert smoke.domain not in domains()
    again = subprocess.run([*HARNESS, "down"], capture_output=True, text=True, timeout=240)
    assert "no machine was left behind" in again.stdout

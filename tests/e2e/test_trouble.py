"""Failures on a real machine: each gives one clear error and leaves no machine up."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import waiting
from command_line import HARNESS
from real_campaign import VIRSH, Smoke, domains, harness

from harness import machines, plan, spec
from harness.campaign import attempt
from harness.errors import LostMachineError, ProvisionError, TrialError
from harness.guest import provision, trial_config
from harness.guest import trial as guest_trial
from harness.guest.monitor import CpuTimes
from harness.guest.vigil import Vigil
from harness.machines import libvirt, registry
from harness.machines.libvirt_monitor import LibvirtMonitor
from harness.noise import machine_processes
from harness.plan import Trial
from harness.progress import SilentWatcher
from harness.store import RunFolder, find_runs


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
        expected=trial_config.expectations(longer, None, 1),
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
    with pytest.raises(TrialError, match="the load nginx_ab had ended before the recording began"):
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
    variables = {"harness_packages": ["no-such-package"]}
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


def test_a_harness_killed_when_the_guest_has_recorded_fetches_the_recording_when_it_resumes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runs = tmp_path_factory.mktemp("recorded") / "runs"
    short = ["record.seconds=3", "record.warmup_s=1", "model.predictors=[]", "machine.clock=counted"]
    settings = [word for setting in short for word in ("--set", setting)]
    process = harness("run", "experiments/smoke.yaml", *settings, "--runs", str(runs))
    process.until(lambda event: event.get("step") == "trial:000_nginx_ab" and event["event"] == "step_started")
    (domain,) = _recorded(runs)
    volume = Path(libvirt.volume_path(f"{domain}-console.log"))
    monitor = LibvirtMonitor(domain, volume, runs / "console.log")
    waiting.until(lambda: "harness-trial 000_nginx_ab-a1 recorded" in monitor.console(), 1200)
    os.kill(process.child.pid, signal.SIGKILL)
    process.child.wait()
    resumed = harness("run", "--resume", "--runs", str(runs))
    assert resumed.end() == 0, resumed.events[-5:]
    (run,) = find_runs(runs)
    trial = json.loads((run / "trials" / "000_nginx_ab" / "trial.json").read_text())
    assert trial["recovered"]["from"] == "the machine"
    console = (run / "machine" / "debian-12" / "console.log").read_text()
    assert console.count("harness-trial 000_nginx_ab-a1 recording") == 1  # the guest's own word, not its clock
    assert not [event for event in resumed.events if str(event.get("step")).startswith("up:")]
    assert not (run / "attempts").exists()
    assert RunFolder.open(run).verify() == []
    assert domain not in domains()


def _recorded(runs: Path) -> set[str]:
    """Return the machines in the register whose run folder is below `runs`."""
    return {entry.domain for entry in registry.entries() if str(runs.resolve()) in entry.folder}


class Troubled(LibvirtMonitor):
    """The view of a machine that somebody pauses for 10 s when its recording has begun."""

    paused = False

    def cpu_times(self) -> CpuTimes | None:
        if not self.paused:
            self.paused = True
            subprocess.run([*VIRSH, "suspend", self.domain], check=True)
            threading.Timer(10, subprocess.run, ([*VIRSH, "resume", self.domain],)).start()
        return super().cpu_times()


def test_a_pause_and_a_step_of_the_guests_clock_stand_in_the_facts_and_the_step_is_judged(
    smoke: Smoke, trial: Trial, tmp_path: Path
) -> None:
    machine, seen = smoke.folder.manifest["machine"], smoke.monitor(tmp_path)
    monitor = Troubled(seen.domain, seen.volume, seen.copy)
    longer = plan.trials(spec.apply(trial.arm.experiment, {"record.seconds": 6.0}))[0]
    step = "until pgrep -fx 'sleep 6'; do sleep 0.3; done; date -s '3 seconds ago'"  # as long as perf records
    with smoke.host as host:
        host.run(f"systemd-run --unit=step /bin/sh -c {shlex.quote(step)}", timeout_s=240, sudo=True)
        host.vigil = Vigil(monitor, "the machine")
        judged = attempt.make(host, longer, tmp_path / "t", 1, machine, SilentWatcher(), monitor).verdict
    (check,) = (check for check in judged.failed if check.name == "clock steps")
    assert "the guest's clock was set" in check.why
    facts = json.loads((tmp_path / "t" / "trial.json").read_text())["host"]
    assert facts["clock_step_s"]["guest"] == pytest.approx(-3, abs=1.5)  # `date` knows whole seconds
    assert facts["paused_s"] > 8
    assert [(state, why) for state, why, _ in facts["troubles"]] == [
        ("paused", "somebody paused the machine (virsh suspend)")
    ]


def test_a_machine_whose_qemu_is_stopped_ends_a_command_with_the_reason(smoke: Smoke, tmp_path: Path) -> None:
    (process,) = smoke.monitor(tmp_path).process_ids()
    with smoke.host as host:
        host.vigil = Vigil(smoke.monitor(tmp_path), "the machine", patience_s=5)
        host.run("true", timeout_s=240)
        os.kill(process, signal.SIGSTOP)
        try:
            with pytest.raises(LostMachineError, match="stopped by a signal"):
                host.run("sleep 600", timeout_s=900)
        finally:
            os.kill(process, signal.SIGCONT)


def test_a_machine_that_is_killed_in_a_trial_is_an_error_long_before_its_end(
    smoke: Smoke, trial: Trial, tmp_path: Path
) -> None:
    (process,) = smoke.monitor(tmp_path).process_ids()
    with pytest.raises(LostMachineError, match="QEMU ended all of a sudden"):
        record_for_long(smoke, trial, tmp_path, lambda *_: os.kill(process, signal.SIGKILL))
    assert not (tmp_path / "t" / "perf.data").exists()


def test_a_campaign_whose_machine_is_killed_repeats_the_attempt_on_another(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runs = tmp_path_factory.mktemp("lost") / "runs"
    short = ["record.seconds=2", "record.warmup_s=0", "model.predictors=[]"]
    run = harness("run", "experiments/smoke.yaml", "--runs", str(runs), *(f"--set={one}" for one in short))
    run.until(lambda event: event.get("step") == "trial:000_nginx_ab" and event["event"] == "step_started")
    (first,) = _recorded(runs)
    os.kill(next(process for process, name in machine_processes.machines() if name == first), signal.SIGKILL)
    again = run.until(lambda event: event["event"] == "message" and event["kind"] == "warn")
    assert "QEMU ended all of a sudden" in again["text"]
    assert run.end() == 0
    folder = RunFolder.open(find_runs(runs)[-1])
    assert folder.manifest["steps"]["trial:000_nginx_ab"]["detail"]["attempts"] == 2
    assert folder.manifest["machine"]["domain"] != first


def test_down_removes_the_kept_machine_and_then_finds_none(smoke: Smoke) -> None:
    assert smoke.domain in domains()
    assert subprocess.run([*HARNESS, "down"], timeout=1200).returncode == 0
    assert smoke.domain not in domains()
    again = subprocess.run([*HARNESS, "down"], capture_output=True, text=True, timeout=240)
    assert "no machine was left behind" in again.stdout

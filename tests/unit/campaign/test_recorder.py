"""The machine of a campaign: attempts, fallbacks, what the manifest holds of it, and that it is taken down."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import LIMIT_S
from fakes import BAD, GOOD, HOPELESS, FakeMachine, World

from harness import machines
from harness.campaign.recorder import ssh_command
from harness.errors import BoxError, GuestError, HostError, Interrupted, LostMachineError, MachineError, TrialError
from harness.guest.remote import Host
from harness.store import RunFolder

Start = Callable[..., Any]


def test_an_unusable_recording_is_repeated_and_kept_under_attempts(start: Start, world: World) -> None:
    world.outcomes = [BAD, GOOD, GOOD]
    campaign, folder = start()
    assert campaign.run().ok
    assert "trial 000_nginx_ab attempt 2" in world.log
    assert (folder.path / "attempts" / "000_nginx_ab-1" / "perf.data.zst").is_file()
    assert folder.verify() == []


def test_a_trial_that_stays_unusable_fails_the_run_but_not_the_other_trials(start: Start, world: World) -> None:
    world.outcomes = [BAD, BAD, GOOD]
    campaign, folder = start()
    outcome = campaign.run()
    assert outcome.unusable == ("000_nginx_ab",)
    assert folder.state == "failed"
    step = folder.manifest["steps"]["trial:000_nginx_ab"]
    assert "lost events 7 (limit 0)" in step["error"]
    assert step["detail"]["switches"] == 1  # what it recorded is listed beside why it may not be used
    assert folder.is_done("trial:001_nginx_ab")


def test_a_trial_whose_failure_is_permanent_is_not_repeated(start: Start, world: World) -> None:
    world.outcomes = [HOPELESS, GOOD]
    campaign, _ = start()
    assert campaign.run().unusable == ("000_nginx_ab",)
    assert "trial 000_nginx_ab attempt 2" not in world.log


def test_a_trial_whose_step_fails_in_the_guest_does_not_stop_the_others(start: Start, world: World) -> None:
    ended_early = GuestError("warm-up: the load had ended before the recording began")
    world.outcomes = [ended_early, ended_early, GOOD]
    campaign, folder = start()
    assert campaign.run().unusable == ("000_nginx_ab",)
    assert folder.is_done("trial:001_nginx_ab")
    assert "the load had ended" in folder.manifest["steps"]["trial:000_nginx_ab"]["error"]


@pytest.mark.slow
def test_a_trial_that_this_machine_is_not_fit_for_is_tried_once(start: Start, world: World) -> None:
    lacks = "check: machine.sched.latency_ns: the kernel 6.12.0 has no such setting; it has base_slice_ns"
    world.outcomes = [GuestError(lacks, retryable=False)]
    campaign, folder = start()
    assert not campaign.run().ok
    steps = folder.manifest["steps"]
    assert (steps["trial:000_nginx_ab"]["state"], steps["trial:001_nginx_ab"]["state"]) == ("failed", "done")
    assert "trial 000_nginx_ab attempt 2" not in world.log
    assert "it has base_slice_ns" in steps["trial:000_nginx_ab"]["error"]


def test_a_machine_that_a_killed_process_left_up_is_removed(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    (tmp_path / "virsh").write_text("#!/bin/sh\n")  # a libvirt that knows of no machine
    (tmp_path / "virsh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    campaign, folder = start()
    program = "import sys; from pathlib import Path; from harness.machines import registry; \
registry.record('no-such-domain', 'libvirt', Path(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", program, str(folder.path / "machine" / "debian-12")], check=True, timeout=LIMIT_S
    )
    assert [entry.domain for entry in machines.left_behind()] == ["no-such-domain"]
    campaign.run()
    assert machines.left_behind() == []


def test_a_box_that_cannot_be_built_is_replaced_by_the_fallback_with_a_warning(start: Start, world: World) -> None:
    world.boxes["ubuntu-18.04"] = BoxError("the keyring is missing")
    campaign, folder = start(machine={"box": "ubuntu-18.04", "fallback": "debian-12"})
    outcome = campaign.run()
    assert outcome.ok
    assert folder.manifest["box"]["name"] == "debian-12"
    assert folder.manifest["box"]["asked"] == "ubuntu-18.04"
    assert "the keyring is missing" in folder.manifest["box"]["fallback_reason"]
    assert "the keyring is missing" in outcome.report.read_text()
    assert any(event["kind"] == "warning" and "fallback" in event["text"] for event in folder.events())


def test_a_resumed_run_stays_with_the_fallback_it_began_with(start: Start, world: World) -> None:
    world.boxes["ubuntu-18.04"] = BoxError("the keyring is missing")
    world.outcomes = [GOOD, TrialError("gone"), TrialError("gone")]
    campaign, folder = start(machine={"box": "ubuntu-18.04", "fallback": "debian-12"})
    with pytest.raises(TrialError):
        campaign.run()
    world.boxes.clear()
    world.log.clear()
    assert start(folder=folder)[0].run().ok
    assert "box ubuntu-18.04" not in world.log
    assert "the keyring is missing" in folder.manifest["box"]["fallback_reason"]


@pytest.mark.parametrize(("before", "now"), [("host", "counted"), ("counted", "host")])
def test_a_resumed_run_keeps_the_clock_of_the_trials_recorded_already(
    start: Start, world: World, before: str, now: str
) -> None:
    world.clock, world.outcomes = before, [GOOD, TrialError("gone"), TrialError("gone")]
    campaign, folder = start()
    with pytest.raises(TrialError):
        campaign.run()
    world.clock = now
    assert start(folder=folder)[0].run().ok
    assert {on["machine"]["clock"] for on in folder.manifest["arms"].values()} == {before}


def test_a_run_that_recorded_nothing_takes_the_clock_that_the_machine_chooses(start: Start, world: World) -> None:
    world.clock, world.outcomes = "host", [TrialError("gone"), TrialError("gone")]
    campaign, folder = start()
    with pytest.raises(TrialError):
        campaign.run()
    world.clock = "counted"
    assert start(folder=folder)[0].run().ok
    assert {on["machine"]["clock"] for on in folder.manifest["arms"].values()} == {"counted"}


def test_the_manifest_holds_the_machine_of_every_arm(start: Start, world: World) -> None:
    campaign, folder = start(sweep={"machine.memory_mb": [512, 2048]}, trials={"repeat": 1, "order": "listed"})
    assert campaign.run().ok
    arms = folder.manifest["arms"]
    assert {arm: on["machine"]["memory_mb"] for arm, on in arms.items()} == {
        "nginx_ab__memory_mb-512": 512,
        "nginx_ab__memory_mb-2048": 2048,
    }
    assert {on["packages"]["nginx"] for on in arms.values()} == {"1.22"}


def test_the_manifest_holds_the_box_of_every_arm_also_after_a_resume_on_another(start: Start, world: World) -> None:
    sweep, trials = {"machine.box": ["debian-11", "debian-12"]}, {"repeat": 1, "order": "listed", "attempts": 1}
    world.outcomes = [GOOD, TrialError("gone")]
    campaign, folder = start(sweep=sweep, trials=trials)
    with pytest.raises(TrialError):
        campaign.run()
    assert start(folder=folder)[0].run().ok
    assert {arm: on["box"]["name"] for arm, on in folder.manifest["arms"].items()} == {
        "nginx_ab__box-debian-11": "debian-11",
        "nginx_ab__box-debian-12": "debian-12",
    }


def test_without_a_fallback_a_box_that_cannot_be_built_ends_the_run(start: Start, world: World) -> None:
    world.boxes["debian-12"] = BoxError("no space")
    campaign, folder = start()
    with pytest.raises(BoxError):
        campaign.run()
    assert folder.state == "failed"
    assert "no space" in folder.manifest["error"]


def test_keep_leaves_the_machine_up(start: Start, world: World) -> None:
    campaign, _ = start(keep=True)
    campaign.run()
    assert world.up == {"debian-12"}


def test_a_machine_that_cannot_be_recorded_is_taken_down_before_the_fallback_comes_up(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: RunFolder, **changes: Any) -> None:
        if "machine" in changes:
            raise HostError("the disk is full")
        update(folder, **changes)

    update = RunFolder.update
    monkeypatch.setattr(RunFolder, "update", full)
    campaign, _ = start(machine={"box": "ubuntu-18.04", "fallback": "debian-12"})
    with pytest.raises(HostError, match="the disk is full"):
        campaign.run()
    assert [line for line in world.log if line.startswith(("up", "down"))] == [
        "up ubuntu-18.04",
        "down ubuntu-18.04",
        "up debian-12",
        "down debian-12",
    ]


def test_a_stop_signal_while_the_machine_is_taken_down_ends_the_run_afterwards(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = FakeMachine.down

    def stopped(machine: FakeMachine) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        down(machine)

    monkeypatch.setattr(FakeMachine, "down", stopped)
    campaign, folder = start(model={"predictors": ["most_frequent"]})
    with pytest.raises(Interrupted):
        campaign.run()
    assert (world.up, folder.state) == (set(), "interrupted")
    assert not (folder.path / "models").exists()


def test_a_machine_that_cannot_be_removed_ends_the_run_with_its_error_and_is_tried_once(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(machine: FakeMachine) -> None:
        world.log.append("down")
        raise MachineError("the machine could not be removed")

    monkeypatch.setattr(FakeMachine, "down", stuck)
    campaign, folder = start()
    with pytest.raises(MachineError, match="could not be removed"):
        campaign.run()
    assert world.log.count("down") == 1
    assert folder.manifest["steps"]["down:debian-12"]["state"] == "failed"


def test_the_ssh_command_of_a_kept_machine_works_in_a_folder_with_a_space(tmp_path: Path) -> None:
    key, known_hosts = tmp_path / "my runs" / "key", tmp_path / "my runs" / "known_hosts"
    words = shlex.split(ssh_command(Host("192.0.2.1", 22, "vagrant", key, known_hosts, "guest")))
    assert words[words.index("-i") + 1] == str(key)
    assert words[words.index("-o") + 1] == f'UserKnownHostsFile="{known_hosts}"'


def test_a_machine_that_is_lost_in_an_attempt_is_replaced_and_the_attempt_repeated(start: Start, world: World) -> None:
    world.outcomes = [LostMachineError("QEMU was killed"), GOOD, GOOD]
    campaign, folder = start()
    assert campaign.run().ok
    assert [entry for entry in world.log if entry.startswith(("up", "down", "trial"))] == [
        "up debian-12",
        "trial 000_nginx_ab attempt 1",
        "down debian-12",
        "up debian-12",
        "trial 000_nginx_ab attempt 2",
        "trial 001_nginx_ab attempt 1",
        "down debian-12",
    ]
    assert "QEMU was killed" in (folder.path / "events.jsonl").read_text()


def test_a_machine_that_is_lost_in_the_last_attempt_ends_the_run(start: Start, world: World) -> None:
    world.outcomes = [LostMachineError("QEMU was killed"), LostMachineError("QEMU was killed again")]
    campaign, folder = start()
    with pytest.raises(LostMachineError, match="killed again"):
        campaign.run()
    assert (folder.state, world.up) == ("failed", set())


def test_a_machine_that_is_lost_before_it_is_ready_is_brought_up_once_more(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def up(machine: FakeMachine, watcher: Any) -> list[Host]:
        if lost:
            raise lost.pop()
        return first(machine, watcher)

    first, lost = FakeMachine.up, [LostMachineError("QEMU was killed")]
    monkeypatch.setattr(FakeMachine, "up", up)
    assert start()[0].run().ok
    lost += [LostMachineError("QEMU was killed"), LostMachineError("QEMU was killed")]
    with pytest.raises(LostMachineError):
        start()[0].run()


def test_with_keep_a_machine_that_was_lost_and_not_replaced_is_not_said_to_stay_up(
    start: Start, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, folder = start(keep=True)
    world.outcomes = [LostMachineError("QEMU was killed")]
    original = FakeMachine.up

    def once(machine: FakeMachine, watcher: Any) -> list[Host]:
        if "trial 000_nginx_ab attempt 1" in world.log:
            raise MachineError("no machine comes up any more")
        return original(machine, watcher)

    monkeypatch.setattr(FakeMachine, "up", once)
    with pytest.raises(MachineError):
        campaign.run()
    assert "stays up" not in (folder.path / "events.jsonl").read_text() + capsys.readouterr().out

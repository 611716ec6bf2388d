"""The loop of a campaign: what is done once, what is done again, and what never is."""

from __future__ import annotations

import errno
import io
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import LIMIT_S
from fakes import BAD, GOOD, HOPELESS, FakeMachine, World

from harness import machines, report, workers
from harness.campaign import recorder
from harness.errors import BoxError, GuestError, HostError, Interrupted, LockedError, RemoteError, TrialError
from harness.guest.remote import Host
from harness.store import RunFolder
from harness.store import folder as folder_module
from harness.terminal.progress import PlainView

Start = Callable[..., Any]
STOPPED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def test_a_campaign_records_every_trial_and_takes_the_machine_down(start: Start, world: World) -> None:
    campaign, folder = start()
    outcome = campaign.run()
    assert outcome.ok
    assert world.log == [
        "box debian-12",
        "up debian-12",
        "provision perf nginx apache2_utils",
        "trial 000_nginx_ab attempt 1",
        "trial 001_nginx_ab attempt 1",
        "down debian-12",
    ]
    assert folder.state == "done"
    assert outcome.report.is_file()
    assert folder.verify() == []


def test_what_is_done_is_not_done_again(start: Start, world: World) -> None:
    campaign, folder = start()
    campaign.run()
    world.log.clear()
    again, _ = start(folder=folder)
    assert again.run().ok
    assert world.log == []


def test_a_recording_that_was_changed_on_disk_is_made_again_and_the_old_one_is_kept(start: Start, world: World) -> None:
    campaign, folder = start()
    campaign.run()
    world.log.clear()
    with (folder.trial_dir("001_nginx_ab") / "slices.parquet").open("ab") as table:
        table.write(b"x")
    again, _ = start(folder=folder)
    again.run()
    assert [line for line in world.log if line.startswith("trial")] == ["trial 001_nginx_ab attempt 1"]
    assert (folder.path / "attempts" / "001_nginx_ab-1" / "slices.parquet").is_file()


def test_a_recording_that_may_not_be_used_is_made_again_and_kept_aside(start: Start, world: World) -> None:
    world.outcomes = [BAD, GOOD, GOOD]
    campaign, folder = start()
    assert campaign.run().ok
    assert "trial 000_nginx_ab attempt 2" in world.log
    assert (folder.path / "attempts" / "000_nginx_ab-1" / "perf.data.zst").is_file()
    assert folder.verify() == []


def test_a_trial_that_stays_bad_fails_the_run_but_not_the_other_trials(start: Start, world: World) -> None:
    world.outcomes = [BAD, BAD, GOOD]
    campaign, folder = start()
    outcome = campaign.run()
    assert outcome.unusable == ("000_nginx_ab",)
    assert folder.state == "failed"
    assert "lost events 7 (limit 0)" in folder.manifest["steps"]["trial:000_nginx_ab"]["error"]
    assert folder.done("trial:001_nginx_ab")


def test_a_trial_that_cannot_get_better_is_not_tried_again(start: Start, world: World) -> None:
    world.outcomes = [HOPELESS, GOOD]
    campaign, _ = start()
    assert campaign.run().unusable == ("000_nginx_ab",)
    assert "trial 000_nginx_ab attempt 2" not in world.log


def test_a_machine_that_dies_ends_the_run_and_resume_goes_on_from_there(start: Start, world: World) -> None:
    world.outcomes = [GOOD, TrialError("the machine is gone"), RemoteError("connection refused")]
    campaign, folder = start()
    with pytest.raises(RemoteError):
        campaign.run()
    assert folder.state == "failed"
    assert world.up == set()
    world.log.clear()
    again, _ = start(folder=folder)
    assert again.run().ok
    assert [line for line in world.log if line.startswith("trial")] == ["trial 001_nginx_ab attempt 1"]


def test_a_trial_whose_step_fails_in_the_guest_does_not_keep_the_others_from_being_recorded(
    start: Start, world: World
) -> None:
    ended_early = GuestError("warm-up: the load had ended before the recording began")
    world.outcomes = [ended_early, ended_early, GOOD]
    campaign, folder = start()
    assert campaign.run().unusable == ("000_nginx_ab",)
    assert folder.done("trial:001_nginx_ab")
    assert "the load had ended" in folder.manifest["steps"]["trial:000_nginx_ab"]["error"]


def test_a_machine_that_a_killed_process_left_is_taken_away_before_anything_else(
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


@pytest.mark.parametrize("number", STOPPED)
def test_a_stop_signal_keeps_what_is_recorded_and_leaves_no_machine(
    start: Start, world: World, number: signal.Signals
) -> None:
    class Stopping(list[Any]):
        def pop(self, _: Any = 0) -> Any:
            if len(world.log) > 4:
                os.kill(os.getpid(), number)
            return GOOD

        def __bool__(self) -> bool:
            return True

    world.outcomes = Stopping()
    before = signal.getsignal(number)
    campaign, folder = start()
    with pytest.raises(Interrupted, match=number.name):
        campaign.run()
    assert signal.getsignal(number) is before
    assert folder.state == "interrupted"
    assert folder.manifest["steps"]["trial:001_nginx_ab"]["state"] == "interrupted"
    assert world.up == set()
    world.outcomes, again = [], start(folder=folder)[0]
    world.log.clear()
    assert again.run().ok
    assert [line for line in world.log if line.startswith("trial")] == ["trial 001_nginx_ab attempt 1"]


def test_a_box_that_cannot_be_built_falls_back_and_says_so(start: Start, world: World) -> None:
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


def test_every_arm_keeps_the_machine_it_was_recorded_on(start: Start, world: World) -> None:
    campaign, folder = start(sweep={"machine.memory_mb": [512, 2048]}, trials={"repeat": 1, "order": "listed"})
    assert campaign.run().ok
    arms = folder.manifest["arms"]
    assert {arm: on["machine"]["memory_mb"] for arm, on in arms.items()} == {
        "nginx_ab__memory_mb-512": 512,
        "nginx_ab__memory_mb-2048": 2048,
    }
    assert {on["packages"]["nginx"] for on in arms.values()} == {"1.22"}


def test_every_arm_keeps_the_box_it_was_recorded_on_also_when_another_goes_on(start: Start, world: World) -> None:
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


@pytest.mark.parametrize("error", [TrialError("gone"), Interrupted("stopped by SIGINT")])
def test_a_run_that_ends_early_says_how_to_go_on_and_how_to_look_at_what_is_there(
    start: Start, world: World, tmp_path: Path, error: BaseException
) -> None:
    world.outcomes = [GOOD, error, error]
    campaign, folder = start()
    with pytest.raises(type(error)):
        campaign.run()
    (said,) = [line for line in (tmp_path / "screen.txt").read_text().splitlines() if "trials are recorded" in line]
    assert f"1 of 2 trials are recorded: `harness run --resume {folder.path}` goes on" in said
    assert f"`harness report {folder.path}`" in said
    page = report.build(folder.path).read_text()
    assert "This run is incomplete" in page


def test_a_run_that_ends_before_anything_is_recorded_offers_no_report(
    start: Start, world: World, tmp_path: Path
) -> None:
    world.boxes["debian-12"] = BoxError("no space")
    with pytest.raises(BoxError):
        start()[0].run()
    said = (tmp_path / "screen.txt").read_text()
    assert "0 of 2 trials are recorded: `harness run --resume" in said
    assert "harness report" not in said


def test_why_a_run_ended_is_told_also_where_what_is_there_cannot_be_read(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, folder = start()
    world.outcomes = [GOOD, Interrupted("stopped by SIGTERM")]
    packed = folder.trial_dir("000_nginx_ab") / "perf.data.zst"

    def down(machine: FakeMachine) -> None:
        packed.unlink()
        packed.symlink_to("/proc/self/mem")  # it can be opened, and nothing lies at its beginning

    monkeypatch.setattr(FakeMachine, "down", down)
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        campaign.run()
    assert (folder.manifest["state"], folder.manifest["error"]) == ("interrupted", "stopped by SIGTERM")


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


def test_two_processes_cannot_work_in_one_run_folder(start: Start) -> None:
    campaign, folder = start()
    with folder.lock(), pytest.raises(LockedError, match=str(os.getpid())):
        campaign.run()


def test_models_are_trained_once_and_again_when_a_recording_changes(start: Start, world: World) -> None:
    campaign, folder = start(model={"predictors": ["most_frequent", "markov"], "seeds": [0, 1]})
    assert campaign.run().ok
    models = sorted(path.name for path in (folder.path / "models").iterdir())
    assert models == ["markov_s0", "most_frequent_s0"]
    before = folder.manifest["steps"]["model:markov_s0"]["started"]
    start(folder=folder)[0].run()
    assert folder.manifest["steps"]["model:markov_s0"]["started"] == before
    (folder.trial_dir("000_nginx_ab") / "slices.parquet").unlink()
    start(folder=folder)[0].run()
    assert folder.manifest["steps"]["model:markov_s0"]["started"] != before
    assert folder.verify() == []


def test_a_model_that_fails_is_named_and_the_others_are_scored(start: Start) -> None:
    model = {"predictors": ["most_frequent", "markov"], "params": {"markov": {"max_order": -3}}, "seeds": [0]}
    campaign, folder = start(model=model)
    outcome = campaign.run()
    assert outcome.failed_models == ("markov_s0",)
    assert folder.done("model:most_frequent_s0")
    assert folder.state == "failed"


class DeadTerminal(io.StringIO):
    """Nothing can be written once a trial has begun."""

    def write(self, text: str) -> int:
        if "Record" in text or self.closed_now:
            self.closed_now = True
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)

    closed_now = False


def test_a_terminal_that_is_gone_keeps_no_machine_up(start: Start, world: World) -> None:
    campaign, _ = start(view=PlainView(DeadTerminal()))
    with pytest.raises(OSError, match="Input/output error"):
        campaign.run()
    assert world.up == set()


@pytest.mark.parametrize("step", ["provision", "trial:000_nginx_ab"])
def test_a_full_disk_keeps_no_machine_up(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(folder: RunFolder, name: str) -> None:
        if "full" in told or name == step:
            told.append("full")
            raise HostError("the disk is full")
        begin(folder, name)

    told, begin = list[str](), RunFolder.begin
    monkeypatch.setattr(RunFolder, "begin", full)
    campaign, _ = start()
    with pytest.raises(HostError, match="the disk is full"):
        campaign.run()
    assert world.up == set()


def test_a_machine_that_is_up_but_cannot_be_written_down_is_taken_away_before_the_fallback(
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


def test_a_stop_while_the_machine_is_taken_down_ends_the_run_after_that(
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


def test_a_step_whose_files_cannot_be_written_down_has_failed(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        if path.name == "slices.parquet":
            raise HostError("the disk is full")

    monkeypatch.setattr(folder_module, "sync", full)
    campaign, folder = start()
    with pytest.raises(HostError):
        campaign.run()
    assert folder.manifest["steps"]["trial:000_nginx_ab"]["state"] == "failed"
    assert world.up == set()


def test_the_ssh_command_of_a_kept_machine_works_in_a_folder_with_a_space(tmp_path: Path) -> None:
    known = tmp_path / "my runs" / "known_hosts"
    told = shlex.split(recorder._ssh(Host("192.0.2.1", 22, "vagrant", tmp_path / "my runs" / "key", known, "guest")))
    assert told[told.index("-i") + 1] == str(tmp_path / "my runs" / "key")
    assert told[told.index("-o") + 1] == f'UserKnownHostsFile="{known}"'


def test_a_stop_while_models_are_trained_leaves_none_under_way(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_and_then_stop(*arguments: Any, **named: Any) -> Iterator[Any]:
        yield next(iter(run_in_processes(*arguments, **named)))
        os.kill(os.getpid(), signal.SIGTERM)

    run_in_processes = workers.run_in_processes
    monkeypatch.setattr(workers, "run_in_processes", one_and_then_stop)
    campaign, folder = start(model={"predictors": ["most_frequent", "markov"], "seeds": [0]})
    with pytest.raises(Interrupted):
        campaign.run()
    states = [step["state"] for name, step in folder.manifest["steps"].items() if name.startswith("model:")]
    assert sorted(states) == ["done", "interrupted"]

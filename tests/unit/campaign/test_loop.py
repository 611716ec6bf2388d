"""The loop of a campaign: which steps are done once, which are repeated, and how a run ends early."""

from __future__ import annotations

import errno
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import GOOD, FakeMachine, World

from harness import report
from harness.errors import BoxError, HostError, Interrupted, LockedError, RemoteError, TrialError
from harness.store import RunFolder
from harness.store import folder as folder_module
from harness.terminal.progress import PlainView

pytestmark = pytest.mark.slow

Start = Callable[..., Any]
STOPPED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def test_a_campaign_records_every_trial_and_takes_the_machine_down(start: Start, world: World) -> None:
    campaign, folder = start()
    outcome = campaign.run()
    assert outcome.ok
    assert world.log == [
        "box debian-12",
        "up debian-12",
        "provision perf nginx apache2_utils wrk",
        "trial 000_nginx_ab attempt 1",
        "trial 001_nginx_ab attempt 1",
        "down debian-12",
    ]
    assert folder.state == "done"
    assert outcome.report.is_file()
    assert folder.verify() == []


def test_steps_that_are_done_are_not_repeated(start: Start, world: World) -> None:
    campaign, folder = start()
    campaign.run()
    world.log.clear()
    again, _ = start(folder=folder)
    assert again.run().ok
    assert world.log == []


def test_a_recording_that_was_changed_on_disk_is_repeated_and_the_old_one_is_kept(start: Start, world: World) -> None:
    campaign, folder = start()
    campaign.run()
    world.log.clear()
    with (folder.trial_dir("001_nginx_ab") / "slices.parquet").open("ab") as table:
        table.write(b"x")
    again, _ = start(folder=folder)
    again.run()
    assert [line for line in world.log if line.startswith("trial")] == ["trial 001_nginx_ab attempt 1"]
    assert (folder.path / "attempts" / "001_nginx_ab-1" / "slices.parquet").is_file()


def test_a_machine_that_fails_ends_the_run_and_resume_continues_from_there(start: Start, world: World) -> None:
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


@pytest.mark.parametrize("number", STOPPED)
def test_a_stop_signal_keeps_the_recordings_and_leaves_no_machine_up(
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
    with pytest.raises(Interrupted, match=number.name) as stopped:
        campaign.run()
    assert stopped.value.exit_code == 130
    assert "--resume" in str(stopped.value.hint)
    assert signal.getsignal(number) is before
    assert folder.state == "interrupted"
    assert folder.manifest["steps"]["trial:001_nginx_ab"]["state"] == "interrupted"
    assert world.up == set()
    world.outcomes, again = [], start(folder=folder)[0]
    world.log.clear()
    assert again.run().ok
    assert [line for line in world.log if line.startswith("trial")] == ["trial 001_nginx_ab attempt 1"]


@pytest.mark.parametrize("error", [TrialError("gone"), Interrupted("stopped by SIGINT")])
def test_a_run_that_ends_early_shows_how_to_resume_it_and_how_to_report_on_it(
    start: Start, world: World, tmp_path: Path, error: BaseException
) -> None:
    world.outcomes = [GOOD, error, error]
    campaign, folder = start()
    with pytest.raises(type(error)):
        campaign.run()
    (line,) = [line for line in (tmp_path / "screen.txt").read_text().splitlines() if "trials are recorded" in line]
    assert f"1 of 2 trials are recorded: `harness run --resume {folder.path}` goes on" in line
    assert f"`harness report {folder.path}`" in line
    page = report.build(folder.path).read_text()
    assert "This run is incomplete" in page


def test_a_run_that_ends_before_the_first_recording_offers_no_report(
    start: Start, world: World, tmp_path: Path
) -> None:
    world.boxes["debian-12"] = BoxError("no space")
    with pytest.raises(BoxError):
        start()[0].run()
    shown = (tmp_path / "screen.txt").read_text()
    assert "0 of 2 trials are recorded: `harness run --resume" in shown
    assert "harness report" not in shown


def test_the_reason_of_the_end_is_kept_if_the_recordings_cannot_be_counted(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, folder = start()
    world.outcomes = [GOOD, Interrupted("stopped by SIGTERM")]
    packed = folder.trial_dir("000_nginx_ab") / "perf.data.zst"

    def down(machine: FakeMachine) -> None:
        packed.unlink()
        packed.symlink_to("/proc/self/mem")  # it can be opened, but not read from its beginning

    monkeypatch.setattr(FakeMachine, "down", down)
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        campaign.run()
    assert (folder.manifest["state"], folder.manifest["error"]) == ("interrupted", "stopped by SIGTERM")


def test_two_processes_cannot_work_in_one_run_folder(start: Start) -> None:
    campaign, folder = start()
    with folder.lock(), pytest.raises(LockedError, match=str(os.getpid())):
        campaign.run()


class DeadTerminal(io.StringIO):
    """A terminal that is closed when the first trial begins."""

    gone = False

    def write(self, text: str) -> int:
        self.gone = self.gone or "Record" in text
        if self.gone:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


def test_a_closed_terminal_leaves_no_machine_up(start: Start, world: World) -> None:
    campaign, _ = start(view=PlainView(DeadTerminal()))
    with pytest.raises(OSError, match="Input/output error"):
        campaign.run()
    assert world.up == set()


@pytest.mark.parametrize("step", ["provision", "trial:000_nginx_ab"])
def test_a_full_disk_leaves_no_machine_up(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(folder: RunFolder, name: str) -> None:
        if failed or name == step:
            failed.append(name)
            raise HostError("the disk is full")
        begin(folder, name)

    failed, begin = list[str](), RunFolder.begin
    monkeypatch.setattr(RunFolder, "begin", full)
    campaign, _ = start()
    with pytest.raises(HostError, match="the disk is full"):
        campaign.run()
    assert world.up == set()


def test_a_step_whose_files_cannot_be_flushed_to_disk_has_failed(
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

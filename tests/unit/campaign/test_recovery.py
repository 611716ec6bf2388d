"""A campaign that is killed while it has a trial recorded: the recording is kept, wherever it is by then."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import BASE, FakeMachine, FakeMonitor, World
from killed import moments, places, run_killed
from outliving_guest import OUTPUT, OutlivingGuest

from harness import spec
from harness.campaign import attempt
from harness.campaign.effects import Effects
from harness.campaign.loop import Campaign
from harness.errors import MachineError
from harness.guest import phases
from harness.machines import Leftover
from harness.noise import moments_file
from harness.noise.observation import Observation
from harness.spec import Experiment
from harness.store import RunFolder
from harness.terminal.progress import QuietView

pytestmark = pytest.mark.slow

DOMAIN = "harness-12345678-guest"
EXPERIMENT = spec.from_dict(
    {
        **BASE,
        "trials": {"repeat": 1, "attempts": 1},
        "record": {"seconds": 4, "warmup_s": 0},
        "verdict": {"max_idle_share": 1.0, "max_tracer_share": 1.0, "max_chain_breaks": 9, "min_recorded_share": 0.0},
    }
)


@pytest.fixture(autouse=True)
def one_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = FakeMachine.facts
    counted = {"domain": DOMAIN, "clock": "counted", "cpu_speed": 125}
    monkeypatch.setattr(FakeMachine, "facts", lambda machine: {**facts(machine), **counted})
    monkeypatch.setattr(phases, "POLL_S", 0.0)
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))


def new_run(runs: Path, experiment: Experiment = EXPERIMENT) -> RunFolder:
    return RunFolder.create(runs, experiment, ["harness", "run"])


def carry_out(folder: RunFolder, guest: OutlivingGuest, left: OutlivingGuest | None = None) -> None:
    """Carry a campaign out with `guest` as its machine; `left` is the one that a killed process left."""
    campaign = Campaign(folder.experiment, folder, QuietView(open("/dev/null", "w")), effects=effects(guest, left))  # noqa: SIM115
    assert campaign.run().ok


def effects(guest: Any, left: Any) -> Effects:
    def record(host: Any, trial: Any, folder: Path, number: int, machine: Any, watcher: Any, monitor: Any) -> Any:
        return attempt.make(guest, trial, folder, number, machine, watcher, guest)

    def attach(entry: Leftover, facts: Any) -> Any:
        if left.boot_id == "dead":
            raise MachineError("the machine does not run, it is paused")
        return left, left

    entry = Leftover(DOMAIN, "libvirt", "/no/folder", 1, "", 0.0)
    there: Callable[[], list[Leftover]] = lambda: [entry] if left else []  # noqa: E731
    return replace(World().effects(), make_attempt=record, left_behind=there, attach=attach)


def trial_json(folder: RunFolder) -> dict[str, Any]:
    return dict(json.loads((folder.trial_dir("000_nginx_ab") / "trial.json").read_text()))


def files(folder: RunFolder) -> set[str]:
    return {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}


def test_a_recording_survives_a_kill_at_any_moment_after_it_began_and_is_made_once(tmp_path: Path) -> None:
    whole = new_run(tmp_path / "whole")
    record = lambda: carry_out(whole, OutlivingGuest(tmp_path / "whole-guest"))  # noqa: E731
    points = moments(record, whole.path, "campaign/attempt.py")
    wanted, sources = files(whole), set()
    for number in points:
        folder, first = new_run(tmp_path / str(number)), OutlivingGuest(tmp_path / f"{number}-first")
        place = run_killed(lambda folder=folder, first=first: carry_out(folder, first), folder.path, number)
        began, second = " recording" in first.console(), OutlivingGuest(tmp_path / f"{number}-second")
        carry_out(RunFolder.open(folder.path), second, first)
        assert bool(second.labels) != began, place
        assert files(folder) == wanted, place
        assert RunFolder.open(folder.path).verify() == [], place
        recovered = trial_json(folder).get("recovered")
        assert bool(recovered) == began, place
        assert not first.connected_while_recording
        sources.add(recovered["from"] if recovered else "")
    assert sources == {"", "the machine", "the run folder"}


class UntracedGuest(OutlivingGuest):
    """A guest that waited in place of perf."""

    def files(self) -> dict[str, bytes]:
        return {"load.txt": OUTPUT}


def test_a_trial_without_a_tracer_survives_a_kill_too(tmp_path: Path) -> None:
    untraced = spec.changed(EXPERIMENT, {"record.tracer": "none"})
    whole = new_run(tmp_path / "whole", untraced)
    reached = places(lambda: carry_out(whole, UntracedGuest(tmp_path / "whole-guest")), whole.path)
    began = next(number for number, place in enumerate(reached, 1) if "moments_file" in place and "open" in place)
    judged = max(number for number, place in enumerate(reached, 1) if "campaign/attempt.py" in place)
    for number, source in ((began, "the machine"), (judged, "the run folder")):
        folder, first = new_run(tmp_path / source, untraced), UntracedGuest(tmp_path / f"{number}-first")
        run_killed(lambda folder=folder, first=first: carry_out(folder, first), folder.path, number)
        second = UntracedGuest(tmp_path / f"{number}-second")
        carry_out(RunFolder.open(folder.path), second, first)
        record = trial_json(folder)
        assert (record["tracer"], record["recovered"]["from"], second.labels) == ("none", source, [])
        assert files(folder) == files(whole)
        assert RunFolder.open(folder.path).verify() == []


def killed_at(tmp_path: Path, phase: str) -> tuple[RunFolder, OutlivingGuest]:
    """Return a run that was killed when this phase was on the console, before it took note of that, and its guest."""
    folder, guest = new_run(tmp_path / "runs"), OutlivingGuest(tmp_path / "first")
    whole = new_run(tmp_path / "whole")
    reached = places(lambda: carry_out(whole, OutlivingGuest(tmp_path / "whole-guest")), whole.path)
    notes = [number for number, place in enumerate(reached, 1) if "moments_file" in place and "open" in place]
    run_killed(lambda: carry_out(folder, guest), folder.path, notes[["recording", "recorded"].index(phase)])
    return RunFolder.open(folder.path), guest


def test_what_was_seen_of_the_host_before_the_kill_is_kept_and_what_was_not_is_unknown(tmp_path: Path) -> None:
    folder, guest = killed_at(tmp_path, "recorded")
    carry_out(folder, OutlivingGuest(tmp_path / "second"), guest)
    record = trial_json(folder)
    assert record["recovered"]["host_seen_at"] == ["recording"]
    assert (record["seconds"], record["host"]["seconds"]) == (None, None)
    assert "was not seen" in record["host"]["share_reason"]


def test_a_guest_that_still_records_is_waited_for_without_a_connection(tmp_path: Path) -> None:
    folder, guest = killed_at(tmp_path, "recording")
    assert " recorded" not in guest.console()
    carry_out(folder, OutlivingGuest(tmp_path / "second"), guest)
    assert trial_json(folder)["recovered"]["from"] == "the machine"
    assert not guest.connected_while_recording


def test_a_recovery_that_is_killed_at_any_moment_loses_nothing_either(tmp_path: Path) -> None:
    left, _ = killed_at(tmp_path / "left", "recorded")
    second = OutlivingGuest(tmp_path / "second")

    def recover(place: Path) -> tuple[RunFolder, Callable[[], None]]:
        shutil.copytree(tmp_path / "left", place)
        folder = RunFolder.open(place / left.path.relative_to(tmp_path / "left"))
        return folder, lambda: carry_out(folder, second, OutlivingGuest(place / "first"))

    once, action = recover(tmp_path / "once")
    for number in moments(action, once.path, "campaign/recovery.py"):
        folder, action = recover(tmp_path / str(number))
        place = run_killed(action, folder.path, number)
        carry_out(RunFolder.open(folder.path), second, OutlivingGuest(tmp_path / str(number) / "first"))
        assert files(folder) == files(once), place
        assert trial_json(folder)["recovered"], place
    assert not second.labels


@pytest.mark.parametrize("boot_id", ["another", "dead"])
def test_a_guest_that_started_again_or_stands_still_is_given_up_and_the_trial_repeated(
    tmp_path: Path, boot_id: str
) -> None:
    folder, guest = killed_at(tmp_path, "recorded")
    guest.boot_id = boot_id
    second = OutlivingGuest(tmp_path / "second")
    carry_out(folder, second, guest)
    assert second.labels == ["000_nginx_ab-a1"]
    assert "recovered" not in trial_json(folder)
    warnings = [event["text"] for event in RunFolder.open(folder.path).events() if event["kind"] == "warning"]
    why = {"another": "the guest started again", "dead": "it is paused"}[boot_id]
    assert any(why in text and "recording it again" in text for text in warnings)


def test_what_is_known_of_the_host_survives_the_process_that_saw_it(tmp_path: Path) -> None:
    guest = FakeMonitor()
    trouble = moments_file.SeenTrouble("paused", "somebody paused the machine", 0.0, time.monotonic() + 99)
    first, second = Observation(guest, 1, troubles=lambda: [trouble]), Observation(guest, 1)
    note = moments_file.keeping(first, guest, tmp_path)
    note("recording", 0.0)
    note("recorded", 0.0)
    assert moments_file.restore(second, tmp_path) == ["recording", "recorded"]
    assert second.facts({}) == first.facts({})
    assert second.facts({})["troubles"][0][:2] == ["paused", "somebody paused the machine"]
    with (tmp_path / moments_file.NAME).open("a") as sink:
        sink.write('{"phase": "recor')  # a killed process left half a line
    assert moments_file.restore(second, tmp_path) == ["recording", "recorded"]
    moments_file.keeping(second, guest, tmp_path)("recorded", 0.0)  # the next one goes on below it
    assert moments_file.restore(second, tmp_path) == ["recording", "recorded"]

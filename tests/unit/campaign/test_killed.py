"""A campaign, or a report, that is killed at any moment: what every command says of it, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import BASE, GOOD, World
from killed import moments, run_killed

from harness import spec
from harness.campaign import reporting
from harness.campaign.attempt import Attempt
from harness.campaign.loop import Campaign
from harness.cli.run import _latest_unfinished
from harness.errors import UsageError
from harness.report import run_rows
from harness.store import RunFolder
from harness.terminal.progress import QuietView

pytestmark = pytest.mark.slow

EXPERIMENT = spec.from_dict({**BASE, "trials": {"repeat": 2, "attempts": 1}})


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make an attempt one small file, and keep the machines of this host out of it."""

    def attempt(world: World, host: Any, trial: Any, folder: Path, *_: Any) -> Attempt:
        folder.mkdir(parents=True)
        (folder / "perf.data").write_bytes(b"recorded")
        return Attempt(GOOD, {"arm": trial.arm.name, "switches": 1})

    monkeypatch.setattr(World, "_attempt", attempt)
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))


def carry_out(folder: RunFolder) -> None:
    Campaign(folder.experiment, folder, silent(), effects=World().effects()).run()


def silent() -> QuietView:
    return QuietView(open("/dev/null", "w"))


def new_run(runs: Path) -> RunFolder:
    return RunFolder.create(runs, EXPERIMENT, ["harness", "run"])


def summary(folder: RunFolder) -> dict[str, Any]:
    """Return what two runs of one experiment have in common: their files, by the step that wrote them.

    Left out is that a machine was taken down: a machine of these tests is gone when its process is.
    """
    steps = {name: (step["state"], sorted(step["outputs"])) for name, step in folder.manifest["steps"].items()}
    steps = {name: step for name, step in steps.items() if not name.startswith("down:")}
    return {"state": folder.state, "steps": steps, "files": files(folder), "row": row(folder)}


def files(folder: RunFolder) -> set[str]:
    return {
        str(path.relative_to(folder.path))
        for path in folder.path.rglob("*")
        if path.is_file() and "attempts" not in path.parts
    }


def row(folder: RunFolder) -> dict[str, Any]:
    own = ("name", "created", "seconds", "bytes")
    return {key: value for key, value in run_rows.run_row(folder).items() if key not in own}


def unfinished(runs: Path) -> Path | None:
    """Return the run that `harness run --resume` would continue."""
    try:
        return _latest_unfinished(runs, None).path
    except UsageError:
        return None


def require_agreement(folder: RunFolder, place: str) -> None:
    """`ls`, `show`, `verify` and `--resume` say the same of a run in which no process works."""
    done = folder.state == "done"
    assert folder.state in ("done", "interrupted"), place
    assert run_rows.run_row(folder)["state"] == folder.manifest["state"] == folder.state, place
    assert not [name for name, step in folder.manifest["steps"].items() if step["state"] == "running"], place
    assert unfinished(folder.path.parent) == (None if done else folder.path), place
    assert folder.verify() == [], place
    if done:
        assert all(step["state"] == "done" for step in folder.manifest["steps"].values()), place
        assert "</html>" in (folder.path / "report" / "index.html").read_text(), place


def test_a_campaign_killed_at_any_moment_is_interrupted_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = new_run(tmp_path / "whole")
    points = moments(lambda: carry_out(whole), whole.path)
    wanted = summary(RunFolder.open(whole.path))
    assert wanted["state"] == "done"
    assert len(points) > 30
    for number in points:
        folder = new_run(tmp_path / str(number))
        place = run_killed(lambda folder=folder: carry_out(folder), folder.path, number)
        left = RunFolder.open(folder.path)
        require_agreement(left, place)
        carry_out(left)
        assert summary(RunFolder.open(folder.path)) == wanted, place
        assert not [*folder.path.rglob(".*.tmp")], place


def test_a_report_killed_at_any_moment_leaves_the_old_page_or_is_interrupted(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "runs")
    carry_out(folder)
    write: Callable[[], object] = lambda: report(folder.path)  # noqa: E731
    wanted, seen = summary(folder), set()
    for number in moments(write, folder.path):
        place = run_killed(write, folder.path, number)
        left = RunFolder.open(folder.path)
        seen.add(left.state)
        require_agreement(left, place)
        report(folder.path)
        assert summary(RunFolder.open(folder.path)) == wanted, place
    assert seen == {"done", "interrupted"}


def report(run: Path) -> None:
    folder = RunFolder.open(run)
    with folder.lock():
        reporting.write(folder, silent())


def test_the_page_of_a_killed_campaign_says_that_it_was_interrupted(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "runs")
    point = moments(lambda: carry_out(new_run(tmp_path / "whole")), tmp_path / "whole")[20]
    run_killed(lambda: carry_out(folder), folder.path, point)
    report(folder.path)
    assert "The campaign was interrupted: its process was killed" in (folder.path / "report" / "index.html").read_text()


def test_a_run_that_ended_well_says_so_on_its_page_and_after_a_second_report(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "runs")
    carry_out(folder)
    first = (folder.path / "report" / "index.html").read_text()
    assert "The campaign was" not in first
    assert "Steps not done" not in first
    report(folder.path)
    assert RunFolder.open(folder.path).state == "done"
    assert (folder.path / "report" / "index.html").read_text() == first

"""`harness repeat`: two runs compared, a run recorded again by a fake machine, and what is refused before that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import comparable_run
import pytest
from command_line import harness
from fakes import BASE, HOPELESS, World

from harness import boxes, machines, spec
from harness.boxes import cache
from harness.campaign import loop
from harness.campaign.loop import Campaign
from harness.errors import Interrupted
from harness.store import RunFolder
from harness.terminal.progress import QuietView


class RecordingWorld(World):
    """A world whose attempts leave the trial.json that a real one leaves."""

    def _attempt(self, host: Any, trial: Any, folder: Path, *rest: Any) -> Any:
        result = super()._attempt(host, trial, folder, *rest)
        facts = {"metrics": {"requests_per_s": 400.0}, "switches": 5000, "contested_share": 0.66, "idle_share": 0.0}
        facts |= {"tracer_share": 0.01, "quality": {"span_ns": 10**9}}
        (folder / "trial.json").write_text(json.dumps({"name": trial.name, "arm": trial.arm.name, **facts}))
        return result


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs in which `harness` looks by default."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RecordingWorld:
    """A fake machine, which the command's own campaign uses too; a real one cannot be made."""
    known = RecordingWorld()
    monkeypatch.setattr(loop, "Effects", known.effects)
    monkeypatch.setattr(machines, "KINDS", {})
    return known


def recorded(runs: Path, tmp_path: Path, world: RecordingWorld) -> RunFolder:
    """A run that was really recorded, by the fake machine."""
    experiment = spec.from_dict(BASE)
    folder = RunFolder.create(runs, experiment, ["harness", "run"])
    Campaign(experiment, folder, QuietView((tmp_path / "screen").open("w")), effects=world.effects()).run()
    return folder


def test_two_equal_runs_exit_with_0_and_say_so(runs: Path) -> None:
    first = comparable_run.make(runs / "2026-01-01_a")
    shutil.copytree(first.path, runs / "2026-01-02_b")
    before = sorted(runs.rglob("*"))
    shown = harness("repeat", "2026-01-01", "--with", "2026-01-02").stdout
    assert "requests/s" in shown
    assert "no fact differs" in shown
    assert shown.splitlines()[-1] == "equal: 8 of 8 metrics within what two such runs differ by, 8 within 1 %"
    assert sorted(runs.rglob("*")) == before


def test_two_different_runs_exit_with_1(runs: Path, tmp_path: Path) -> None:
    comparable_run.make(runs / "2026-01-01_a")
    other = comparable_run.make(tmp_path / "copied" / "b", requests=(300.0, 301.0, 299.0), host={"cpu": "Xeon"})
    shown = harness("repeat", "2026-01-01_a", "--with", other.path, code=1).stdout
    assert "AMD EPYC 9B14" in shown
    assert "differs: " in shown.splitlines()[-1]
    result = json.loads(harness("repeat", "2026-01-01_a", "--with", other.path, "--json", code=1).stdout)
    assert result["outcome"] == "differs"


def test_different_clocks_need_a_flag(runs: Path) -> None:
    comparable_run.make(runs / "2026-01-01_a")
    comparable_run.make(runs / "2026-01-02_b", machine={"clock": "host"})
    call = ("repeat", "2026-01-01", "--with", "2026-01-02")
    assert "--across-clocks" in harness(*call, code=2).stderr
    assert "counted 125" in harness(*call, "--across-clocks").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["2026-01-01", "--with", "2026-01-01"], "a run is compared with itself"),
        (["2026-01-01", "--with", "2026-01-01", "--any-box"], "records nothing"),
        (["2026-01-01", "--with", "2020"], "there is no run '2020'"),
        (["2020"], "there is no run '2020'"),
        (["2026-01-01", "--set", "load.concurrency"], "PATH=VALUE"),
        (["2026-01-01", "--set", "model.predictors=[lstmm]"], "lstm"),
        (["2026-01-01", "--machine", "debain-12"], "did you mean 'debian-12'"),
    ],
)
def test_a_wrong_call_is_one_clear_message(runs: Path, arguments: list[str], words: str) -> None:
    comparable_run.make(runs / "2026-01-01_a")
    assert words in harness("repeat", *arguments, code=2).stderr
    assert [run.name for run in runs.iterdir()] == ["2026-01-01_a"]


def test_another_box_is_refused_before_a_run_folder_is_made(runs: Path) -> None:
    comparable_run.make(runs / "2026-01-01_a")
    assert comparable_run.DIGEST in harness("repeat", "2026-01-01", code=3).stderr
    assert "000_nginx_ab" in harness("repeat", "2026-01-01", "--any-box", "--dry-run").stdout
    assert [run.name for run in runs.iterdir()] == ["2026-01-01_a"]


def test_a_dry_run_on_the_same_box_prints_the_plan_with_the_changes(runs: Path) -> None:
    comparable_run.make(runs / "2026-01-01_a", box={"digest": cache.current_digest(boxes.recipe("debian-12"))})
    shown = harness("repeat", "2026-01-01", "--dry-run").stdout.splitlines()
    assert shown[-1] == "repeats 2026-01-01_a; clock: counted 125; the same box"
    plan = json.loads(harness("repeat", "2026-01-01", "--set", "trials.repeat=5", "--dry-run", "--json").stdout)
    assert len(plan["trials"]) == 5
    assert plan["experiment"]["machine"]["clock"] == "counted"


def test_a_run_is_recorded_again_and_compared(runs: Path, tmp_path: Path, world: RecordingWorld) -> None:
    first = recorded(runs, tmp_path, world)
    shown = harness("repeat", first.path.name, "--any-box").stdout
    (second,) = [RunFolder.open(run) for run in runs.iterdir() if run.name != first.path.name]
    assert "equal: " in shown.splitlines()[-1]
    assert second.manifest["repeats"]["run"] == first.path.name
    assert json.loads((second.path / "repeat.json").read_text())["outcome"] == "equal"
    assert second.state == "done"
    assert f"repeats {first.path.name}: equal: " in harness("show", second.path.name).stdout
    assert world.up == set()


def test_a_repetition_with_an_unusable_trial_is_compared_and_exits_with_1(
    runs: Path, tmp_path: Path, world: RecordingWorld
) -> None:
    first = recorded(runs, tmp_path, world)
    world.outcomes = [HOPELESS]
    shown = harness("repeat", first.path.name, "--any-box", code=1).stdout
    assert "over 2 and 1 trials" in shown
    assert "equal: " in shown.splitlines()[-1]


def test_a_repetition_that_is_stopped_says_how_to_go_on(runs: Path, tmp_path: Path, world: RecordingWorld) -> None:
    first = recorded(runs, tmp_path, world)
    world.outcomes = [Interrupted("stopped by SIGTERM")]
    stopped = harness("repeat", first.path.name, "--any-box", code=130)
    assert f"harness repeat {first.path} --with" in stopped.stderr
    assert world.up == set()

"""A recorded run that goes on with other models, by the real command; only its recordings were made by a fake guest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import harness
from fakes import BASE, World

from harness import spec, workers
from harness.campaign import repetition, spec_change
from harness.campaign.loop import Campaign
from harness.errors import SpecError
from harness.store import RunFolder
from harness.terminal.progress import QuietView
from model.errors import PredictionError

pytestmark = pytest.mark.slow

FIRST = {"predictors": ["most_frequent", "markov", "repeat"], "seeds": [0], "params": {"markov": {"max_order": 99}}}
MEND = ["--set", "model.params.markov.max_order=2", "--set", "model.predictors=[most_frequent, markov]"]


def train_in_turn(
    jobs: Iterable[tuple[str, Any]], work: Callable[..., Any], **options: Any
) -> Iterator[tuple[str, Mapping[str, Any] | BaseException]]:
    """Train without worker processes, which take seconds to start."""
    for name, job in jobs:
        try:
            yield name, work(job, lambda *report: None)
        except PredictionError as error:
            yield name, error


@pytest.fixture(autouse=True)
def train_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "run_in_processes", train_in_turn)


@pytest.fixture(scope="module")
def failed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose recordings are good, and one of whose models failed over a setting; tests get copies of it."""
    runs = tmp_path_factory.mktemp("failed") / "runs"
    folder = RunFolder.create(runs, spec.from_dict({**BASE, "model": FIRST}), ["harness", "run"])
    with pytest.MonkeyPatch.context() as patch, (runs.parent / "screen.txt").open("w") as screen:
        patch.setattr(workers, "run_in_processes", train_in_turn)
        campaign = Campaign(folder.experiment, folder, QuietView(screen), effects=World().effects())
        assert campaign.run().failed_models == ("markov_s0",)
    return folder.path


@pytest.fixture
def failed(failed_once: Path, tmp_path: Path) -> RunFolder:
    return RunFolder.open(shutil.copytree(failed_once, tmp_path / "runs" / failed_once.name))


def resume(folder: RunFolder, *changes: str, code: int = 0) -> RunFolder:
    harness("run", "--resume", folder.path, "--workers", "1", *changes, code=code)
    return RunFolder.open(folder.path)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_whose_training_failed_over_a_setting_goes_on_with_another_and_keeps_what_is_good(
    failed: RunFolder,
) -> None:
    before, trials = failed.manifest["steps"], files_below(failed.path / "trials")
    kept, dropped = (files_below(failed.path / "models" / name) for name in ("most_frequent_s0", "repeat_s0"))
    changed = resume(failed, *MEND)
    steps = changed.manifest["steps"]
    assert changed.state == "done"
    assert changed.verify() == []
    assert files_below(failed.path / "trials") == trials
    assert steps["model:most_frequent_s0"] == before["model:most_frequent_s0"]
    assert files_below(failed.path / "models" / "most_frequent_s0") == kept
    assert steps["model:markov_s0"]["state"] == "done"
    assert "model:repeat_s0" not in steps
    assert files_below(failed.path / "models.set-aside" / "repeat_s0") == dropped
    assert {path.name for path in (failed.path / "models").iterdir()} == {"most_frequent_s0", "markov_s0"}


def test_the_change_is_in_the_manifest_on_the_terminal_and_in_the_report(failed: RunFolder) -> None:
    changed = resume(failed, *MEND)
    (record,) = changed.manifest["spec_changes"]
    assert record["changes"] == {
        "model.predictors": {"old": FIRST["predictors"], "new": ["most_frequent", "markov"]},
        "model.params.markov.max_order": {"old": 99, "new": 2},
    }
    assert record["set_aside"] == ["repeat_s0"]
    shown = " ".join(harness("show", failed.path).stdout.split())
    assert "model.params.markov.max_order: 99, now 2" in shown
    assert "set aside in models.set-aside, of an earlier experiment: repeat_s0" in shown
    page = (failed.path / "report" / "index.html").read_text()
    assert "model.params.markov.max_order: 99, now 2" in page
    assert json.loads(harness("ls", "--runs", failed.path.parent, "--json").stdout)["runs"][0]["models"] == 2


def test_a_repetition_of_the_run_has_the_changed_experiment(failed: RunFolder) -> None:
    repeated = repetition.experiment_of(resume(failed, *MEND), repetition.Changes({}))
    assert repeated.model.predictors == ("most_frequent", "markov")
    assert repeated.model.params["markov"] == {"max_order": 2}


def test_each_change_is_kept_and_the_same_model_can_be_set_aside_several_times(failed: RunFolder) -> None:
    resume(failed, *MEND)
    resume(failed, "--set", "model.params.markov.max_order=1")
    last = resume(failed, "--set", "model.params.markov={}", "--set", "model.seeds=[3]")
    assert [len(change["changes"]) for change in last.manifest["spec_changes"]] == [2, 1, 2]
    assert last.manifest["spec_changes"][2]["changes"]["model.params.markov.max_order"] == {"old": 1, "new": None}
    aside = {name for name in last.manifest["steps"] if name.startswith("set-aside:")}
    names = ("markov_s0", "markov_s0-2", "most_frequent_s0", "repeat_s0")
    assert aside == {f"set-aside:{name}" for name in names}
    assert {path.name for path in (failed.path / "models").iterdir()} == {"most_frequent_s3", "markov_s3"}
    assert last.verify() == []


def test_a_change_of_the_mark_sets_every_model_aside(failed: RunFolder) -> None:
    changed = resume(failed, *MEND, "--set", "model.mark=comm")
    assert changed.manifest["spec_changes"][0]["set_aside"] == ["most_frequent_s0", "repeat_s0"]
    scores = json.loads((failed.path / "models" / "most_frequent_s0" / "scores.json").read_text())
    assert scores["mark"] == "comm"


def test_an_edited_experiment_does_not_follow_from_the_changes(failed: RunFolder) -> None:
    changed = resume(failed, *MEND)
    content = changed.manifest
    content["spec"]["model"]["seeds"] = [7]
    del content["sha256"]  # as in a manifest that nothing seals
    (failed.path / "manifest.json").write_text(json.dumps(content))
    assert "spec is not the experiment that change 1 of 1 made" in str(RunFolder.open(failed.path).verify()[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--set", "load.concurrency=9"], "may change only the models"),
        (["--set", "model=5"], "may change only the models"),
        (["--set", "model.seeds=[1]", "--set", "record.seconds=9"], "may change only the models"),
        (["--machine", "debian-11"], "may change only the models"),
        (["--set", "model.params.markov.max_order=100"], "a whole number from 0 to 8"),
        (["--set", "model.predictors=[eevdf_replay]", "--set", "model.params={}"], "cannot replay the kernel"),
        (["--set", "model.seeds=[3]"], "model.params.markov.max_order is 99"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(failed: RunFolder, changes: list[str], words: str) -> None:
    before = files_below(failed.path)
    assert words in harness("run", "--resume", failed.path, *changes, code=2).stderr
    assert files_below(failed.path) == before


def test_a_dry_run_shows_the_changed_plan_and_changes_nothing(failed: RunFolder) -> None:
    before = files_below(failed.path)
    shown = harness("run", "--resume", failed.path, *MEND, "--dry-run").stdout
    assert "predictors: most_frequent, markov;" in shown
    assert files_below(failed.path) == before


def test_a_change_that_was_killed_before_the_models_were_moved_is_finished_by_the_next_resume(
    failed: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = failed.experiment.model_copy(
        update={"model": failed.experiment.model.model_copy(update={"predictors": ("markov",), "params": {}})}
    )
    with monkeypatch.context() as killed:
        killed.setattr(spec_change, "finish", lambda folder: None)
        spec_change.make(failed, experiment, ["harness"])
    assert RunFolder.open(failed.path).state == "interrupted"
    assert (failed.path / "models" / "repeat_s0").is_dir()
    finished = resume(failed)
    assert finished.verify() == []
    assert {path.name for path in (failed.path / "models").iterdir()} == {"markov_s0"}
    assert {path.name for path in (failed.path / "models.set-aside").iterdir()} == {"most_frequent_s0", "repeat_s0"}


def test_an_experiment_in_a_manifest_is_not_refused_for_its_settings(failed: RunFolder) -> None:
    assert failed.experiment.model.params["markov"] == {"max_order": 99}
    with pytest.raises(SpecError, match="max_order"):
        repetition.spec.changed(failed.experiment, {"model.seeds": "[1]"})

"""The experiment file in a run folder carries out what the run did, whatever the command line changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import harness
from killed import moments, run_killed
from locations import ROOT

from harness import spec
from harness.campaign import spec_change
from harness.spec import Experiment
from harness.store import RunFolder
from model.predictors import EXTRAS

NGINX = ROOT / "experiments" / "nginx_ab.yaml"
HOSTILE = '"1.2e3 #: \\n- yes\\e[2J \\u202e null"'
CHANGES: dict[str, dict[str, Any]] = {
    "a value": {"overrides": {"trials.repeat": "7"}},
    "a load and a box": {"load_kind": "idle", "box": "debian-12"},
    "a text": {"overrides": {"question": HOSTILE}},
    "a small number": {"overrides": {"model.params.lstm.learning_rate": "1e-5", "model.params.markov": "{}"}},
    "a sweep": {"overrides": {"sweep": "{load.concurrency: [1, 10], load.path: ['/', '/no']}"}},
}


def experiment_of(run: RunFolder) -> dict[str, Any]:
    return spec.to_dict(spec.load(run.path / "experiment.yaml"))


def test_an_unchanged_experiment_lies_in_the_run_folder_byte_for_byte(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, spec.load(NGINX), [])
    assert (run.path / "experiment.yaml").read_bytes() == NGINX.read_bytes()
    harness("verify", run.path)
    (run.path / "experiment.yaml").write_text("name: other\n")
    assert "experiment.yaml" in harness("verify", run.path, code=1).stdout


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_changed_one_says_in_the_run_folder_what_was_carried_out(changes: dict[str, Any], tmp_path: Path) -> None:
    experiment = spec.load(NGINX, **changes)
    run = RunFolder.create(tmp_path, experiment, [])
    assert experiment_of(run) == spec.to_dict(experiment)
    assert run.manifest["spec_text"] == NGINX.read_text()
    assert run.verify() == []


def test_its_head_names_the_values_that_differ_and_how_the_run_is_repeated(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, spec.load(NGINX, {"trials.repeat": "7"}), [])
    head = [line for line in (run.path / "experiment.yaml").read_text().splitlines() if line.startswith("#")]
    assert f"`harness repeat {run.path.name}`" in head[1]
    assert head[3:] == ["#   trials.repeat: 3, here 7"]


def test_a_file_that_needs_the_command_line_to_be_an_experiment_is_whole_in_the_run_folder(tmp_path: Path) -> None:
    text = NGINX.read_text().replace("kind: nginx_ab", "kind: unknown").replace("lstm]", "nothing]")
    changes = {"overrides": {"model.predictors": "[markov]"}, "load_kind": "idle"}
    run = RunFolder.create(tmp_path, spec.load_bytes(text.encode(), "<stdin>", **changes), [])
    assert experiment_of(run)["load"] == {"kind": "idle"}
    assert "no experiment without" in (run.path / "experiment.yaml").read_text()


def test_one_that_comes_from_no_file_leaves_none(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, spec.from_dict(spec.to_dict(spec.load(NGINX))), [])
    assert not (run.path / "experiment.yaml").exists()
    assert run.verify() == []


def test_after_a_change_of_the_models_the_file_has_the_new_ones(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, spec.load(NGINX), [])
    changed: Experiment = spec.changed(run.experiment, {"model.predictors": "[markov]"})
    spec_change.make(run, changed, ["harness"])
    assert experiment_of(run)["model"]["predictors"] == ["markov"]
    assert run.verify() == []


def test_a_change_that_is_killed_at_any_moment_leaves_the_old_file_or_is_finished(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, spec.load(NGINX), [])
    changed = spec.changed(run.experiment, {"model.predictors": "[markov]"})
    whole = shutil.copytree(run.path, tmp_path / "whole" / run.path.name)
    for number in moments(lambda: spec_change.make(RunFolder(whole, run.manifest), changed, []), whole):
        killed = shutil.copytree(run.path, tmp_path / str(number) / run.path.name)
        run_killed(lambda killed=killed: spec_change.make(RunFolder.open(killed), changed, []), killed, number)  # type: ignore[misc]
        folder = RunFolder.open(killed)
        with folder.lock():
            spec_change.finish(folder)
        assert folder.verify() == []
        assert experiment_of(folder) == spec.to_dict(folder.experiment)


def test_a_predictor_that_this_host_cannot_train_is_named_among_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXTRAS, "lstm", ("no_such_module", "model", "torch"))
    run = RunFolder.create(tmp_path, spec.load(NGINX, {"model.predictors": "[markov]", "model.params": "{}"}), [])
    head = (run.path / "experiment.yaml").read_text()
    assert '#   model.predictors: ["most_frequent", "markov", "slice_markov", "lstm"], here ["markov"]' in head


def test_a_run_of_an_earlier_version_has_the_file_as_it_was_given(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, spec.load(NGINX), [])
    path = run.path / "manifest.json"
    former = {
        key: value for key, value in json.loads(path.read_text()).items() if key not in ("sha256", "spec_file_sha256")
    }
    path.write_text(json.dumps(former))
    assert RunFolder.open(run.path).verify() == []


def test_a_run_goes_on_by_the_file_that_was_given_or_by_its_own_and_warns_of_another(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, spec.load(NGINX, {"model.predictors": "[markov]"}), [])
    other = tmp_path / "other.yaml"
    other.write_text(NGINX.read_text() + "# changed\n")
    for file, warned in ((NGINX, False), (run.path / "experiment.yaml", False), (other, True)):
        ended = harness("run", "--resume", file, "--runs", tmp_path, "--dry-run")
        assert ("continues with the old version" in ended.stderr) == warned

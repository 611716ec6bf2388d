"""Commands that train, score, export and compare, on a real run of which a file was changed after it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import written_before
from command_line import harness

from harness.files import sha256
from harness.store import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return written_before.unpack(tmp_path) / written_before.RUN


@pytest.fixture
def trial(run: Path) -> Path:
    return run / "trials" / "000_nginx_ab"


def append_a_space(path: Path) -> None:
    path.write_text(path.read_text() + " ")


def test_a_run_with_a_changed_file_of_a_trial_is_not_trained_on_and_not_scored(run: Path, trial: Path) -> None:
    model = run / "models" / "markov_s0"
    predict = ["predict", trial, "--model", model]
    commands = [["evaluate", run], ["train", run, "-o", run / "out"], ["evaluate", run, "--model", model], predict]
    harness(*predict)
    append_a_space(trial / "trial.json")
    for command in commands:
        refused = harness(*command, code=1).stderr
        assert "trial.json is not the file that the run wrote (changed: SHA-256" in refused
        assert "restore it from a copy" in refused
    assert not (run / "out").exists()


def test_a_stored_model_with_a_changed_file_is_not_used(run: Path, trial: Path, tmp_path: Path) -> None:
    model = run / "models" / "markov_s0"
    append_a_space(model / "config.json")
    words = "config.json is not the file that the run wrote"
    assert words in harness("predict", trial, "--model", model, code=1).stderr
    assert words in harness("evaluate", trial, "--model", model, code=1).stderr
    assert words in harness("model", "export", model, "-o", tmp_path / "c", code=1).stderr


def test_changed_scores_are_not_compared(run: Path) -> None:
    harness("model", "compare", run, "lstm", "markov")
    append_a_space(run / "models" / "lstm_s0" / "scores.json")
    refused = harness("model", "compare", run, "lstm", "markov", code=1)
    assert "models/lstm_s0/scores.json: changed" in refused.stdout + refused.stderr
    assert "no lstm and markov scored" in refused.stderr


def test_a_trial_whose_hashes_are_unknown_is_scored_with_a_warning(run: Path, trial: Path) -> None:
    folder = RunFolder.open(run)
    folder.update(steps={})
    assert "no SHA-256 to compare it with" in harness("evaluate", trial, "-p", "markov").stderr
    (run / "manifest.json").write_text("{")
    assert "manifest.json is damaged" in harness("evaluate", trial, "-p", "markov").stderr


def test_two_runs_are_compared_with_an_edited_manifest_as_a_fact(run: Path, tmp_path: Path) -> None:
    other = written_before.unpack(tmp_path / "other") / written_before.RUN
    folder = RunFolder.open(other)
    folder.update(state="done")
    path = other / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": None}))
    digest = sha256(path)
    assert "changed by something else" in harness("repeat", run, "--with", other).stdout
    assert sha256(path) == digest


def test_who_goes_on_from_an_edited_manifest_is_warned(run: Path) -> None:
    folder = RunFolder.open(run)
    folder.update(state="done")
    for command in (["run", "--resume", run, "--dry-run"], ["repeat", run, "--dry-run", "--any-box"]):
        assert "was changed by another program" not in harness(*command).stderr
    path = run / "manifest.json"
    path.write_text(path.read_text().replace('"memory_mb": 512', '"memory_mb": 768', 1))
    for command in (["run", "--resume", run, "--dry-run"], ["repeat", run, "--dry-run", "--any-box"]):
        assert "was changed by another program" in harness(*command).stderr

"""`harness init`, and an experiment found by name or read from stdin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import harness
from typer.testing import CliRunner

from harness.cli import app
from harness.cli.experiments import bundled

BUNDLED = sorted(path.stem for path in bundled().values())


@pytest.mark.parametrize("name", BUNDLED)
def test_init_writes_a_commented_file_that_runs_as_it_stands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "harness run My-own.yaml --dry-run" in harness("init", "--from", name, "My-own.yaml").stdout
    text = Path("My-own.yaml").read_text()
    assert "# " in text
    assert "experiments/" not in text
    plan = json.loads(harness("run", "My-own.yaml", "--dry-run", "--json").stdout)
    assert plan["experiment"]["name"] == "my_own"


def test_init_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nginx_ab.yaml").write_text("mine")
    assert "nginx_ab.yaml: this file exists" in harness("init", code=2).stderr
    assert Path("nginx_ab.yaml").read_text() == "mine"
    assert "there is no such folder" in harness("init", "none/x.yaml", code=2).stderr
    assert "nginx_ab" in harness("init", "--from", "nginx", code=2).stderr


def test_an_experiment_that_is_not_found_lists_those_that_come_with_harness() -> None:
    assert ", ".join(BUNDLED) in harness("run", "nope", code=2).stderr


def test_an_experiment_on_stdin_is_one_of_the_name_that_it_has() -> None:
    text = bundled()["smoke"].read_bytes()
    done = CliRunner().invoke(app, ["run", "-", "--dry-run", "--json"], input=text)
    assert json.loads(done.stdout)["experiment"]["name"] == "smoke"
    wrong = CliRunner().invoke(app, ["run", "-", "--dry-run"], input=b"name: e\nmachine: {box: debian-12}\nlaod: {}\n")
    assert wrong.exit_code == 2
    assert "<stdin>:3:1" in wrong.stderr


def test_predictors_are_listed_with_their_settings() -> None:
    shown = harness("predictors").stdout
    assert "lstm.hidden" in shown
    assert "eevdf_replay.corrects true " in " ".join(shown.split())
    one = harness("predictors", "lstm").stdout
    assert one in shown
    document = json.loads(harness("predictors", "--json").stdout)["predictors"]
    assert all(predictor["meaning"] for predictor in document.values())
    assert "hidden" in document["lstm"]["settings"]
    assert "inputs: slices; needs the extra model" in one
    assert (document["fifo"]["inputs"], document["fifo"]["extra"]) == ("runqueue", None)
    assert "did you mean 'lstm'" in harness("predictors", "lstmm", code=2).stderr

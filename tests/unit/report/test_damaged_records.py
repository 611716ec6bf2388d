"""Records whose hash is right and whose values are not: named on the page, and all else is shown as before."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import synthetic_run
from damage import damage_json

from harness import store
from harness.files import sha256
from harness.report.page import render
from harness.report.run_facts import read_run
from harness.terminal import tables

TRIAL, SCORES = "trials/000_nginx_ab/trial.json", "models/markov_s0/scores.json"
INPUTS = 50  # of each kind; `make chaos` reads thousands


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A small run in which every optional value is present."""
    run = tmp_path / "run"
    synthetic_run.write_manifest(run)
    known = {"machine": synthetic_run.COUNTED, "host": synthetic_run.host(0.1), "noise": {"median_slice_ns": 0.1}}
    synthetic_run.add_trial(run, "000_nginx_ab", synthetic_run.slices(30), **known, requests_per_s=300.0)
    synthetic_run.add_trial(run, "001_nginx_ab", None)
    by_trial = {"000_nginx_ab": {"top1": 0.7, "top1_se": 0.1, "blocks": 7, "contested_top1": 0.6}}
    more = {"online": synthetic_run.online(0.7), "clock": "counted", "cpu_speed": 125, "interval_trials": 2}
    synthetic_run.add_model(run, "markov", 0, 0.66, by_trial=by_trial, caveat="none", **more)
    synthetic_run.add_model(run, "most_frequent", 0, 0.45)
    return run


def page(run: Path) -> str:
    """Write the hashes of all files into the manifest, and return the page; `show` reads the same files."""
    files = [path for part in ("trials", "models") for path in (run / part).rglob("*") if path.is_file()]
    outputs = {path.relative_to(run).as_posix(): sha256(path) for path in files}
    synthetic_run.write_manifest(run, steps={"trial:000_nginx_ab": {"state": "done", "outputs": outputs}})
    list(tables.run_tables(store.RunFolder.open(run)))
    return render(read_run(run))


def change(path: Path, keys: list[str], value: Any) -> None:
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("keys", "value"),
    [(["quality", "warnings"], 0.5), (["verdict", "checks"], 1), (["metrics"], [1]), (["machine", "clock"], {}),
     (["machine", "cpu_speed"], 10**400), (["host", "share_reason"], [1]), (["name"], {"a": 1})],
)  # fmt: skip
def test_a_trial_whose_record_is_damaged_is_named_and_the_others_are_shown(
    run: Path, keys: list[str], value: Any
) -> None:
    change(run / TRIAL, keys, value)
    text = page(run)
    assert f"000_nginx_ab: trial.json is damaged: {'.'.join(keys)}" in text
    assert "? no verdict" in text
    facts = read_run(run)
    assert [trial.ok for trial in facts.trials] == [None, True]
    assert len(facts.models) == 2


@pytest.mark.parametrize(
    ("keys", "value"),
    [(["contested", "top1"], "x"), (["overall", "top1_ci"], [1]), (["rollout", "marks"], [99]), (["trials"], 7),
     (["by_trial"], [1]), (["online"], 3), (["interval_trials"], "2"), (["fit_seconds"], 1e308)],
)  # fmt: skip
def test_a_model_whose_scores_are_damaged_is_named_and_the_others_are_shown(
    run: Path, keys: list[str], value: Any
) -> None:
    change(run / SCORES, keys, value)
    assert f"markov_s0 cannot be read: scores.json is damaged: {'.'.join(keys)}" in page(run)
    assert [model.predictor for model in read_run(run).models] == ["most_frequent"]


@pytest.mark.parametrize("path", [TRIAL, SCORES])
def test_no_damage_to_a_record_keeps_the_page_from_being_made(run: Path, path: str) -> None:
    whole = (run / path).read_bytes()
    for number in range(INPUTS):
        (run / path).write_bytes(damage_json(whole, random.Random(f"{path} {number}")))
        assert "<!doctype html>" in page(run).lower(), number

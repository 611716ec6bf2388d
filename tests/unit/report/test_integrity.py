"""What the page says of the files that it is made from, on a real run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import written_before

from harness import spec
from harness.report import build
from harness.report.run_facts import read_run
from harness.store import RunFolder

TRIAL = "trials/000_nginx_ab"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return written_before.unpack(tmp_path) / written_before.RUN


def page(run: Path) -> str:
    return build(run).read_text("utf-8")


def test_the_head_says_how_many_files_were_verified_and_when(run: Path) -> None:
    text = page(run)
    assert "<strong>Verified in part:</strong> 12 files that this page is made from have the SHA-256" in text
    assert "versions before 0.3.0 wrote none" in text
    folder = RunFolder.open(run)
    folder.update(state="done")
    assert "<strong>Verified:</strong> 12 files" in page(run)


def test_a_changed_table_takes_its_trials_figures_away_and_leaves_the_scores(run: Path) -> None:
    shutil.copy(run / TRIAL / "wakeups.parquet", run / TRIAL / "slices.parquet")
    facts = read_run(run)
    assert facts.trials[0].recording is None
    assert facts.trials[0].ok is True
    assert {model.predictor for model in facts.models} == {"most_frequent", "markov", "lstm"}
    assert f"{TRIAL}/slices.parquet: changed" in page(run)
    assert "scores that models got from it before stand" in page(run)


def test_a_changed_verdict_is_none(run: Path) -> None:
    path = run / TRIAL / "trial.json"
    path.write_text(path.read_text().replace('"limit": ', '"limit": 1'))
    facts = read_run(run)
    assert (facts.trials[0].ok, facts.trials[0].checks) == (None, [])
    assert "? no verdict" in page(run)


def test_without_any_score_that_is_believed_there_is_no_answer(run: Path) -> None:
    for path in (run / "models").glob("*/scores.json"):
        path.write_text(path.read_text() + "\n")
    assert "There is no answer: the files of this run" in page(run)


def test_the_foot_names_the_software_and_what_another_version_did(run: Path) -> None:
    text = page(run)
    assert "Made by harness 0.1.0, Python 3.11.7, ansible-core 2.16.19" in text
    RunFolder.open(run).begin("report")
    later = page(run)
    assert "Done by harness " in later
    assert ": report.</p></footer>" in later


def test_a_run_that_was_never_changed_is_verified_as_a_whole(tmp_path: Path) -> None:
    experiment = spec.from_dict({"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}})
    assert "<strong>Verified:</strong> 0 files" in page(RunFolder.create(tmp_path, experiment, []).path)

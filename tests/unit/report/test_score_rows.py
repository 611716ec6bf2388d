"""The scores of a run as rows, of which lists, programs and data frames are made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic_run
import written_before
from command_line import harness

from harness.report import score_rows
from harness.report.answer import answer
from harness.report.baseline_comparison import compare_to_baselines
from harness.report.run_facts import read_run
from harness.store import RunFolder


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that 0.1.0 recorded."""
    return written_before.unpack(tmp_path_factory.mktemp("run")) / written_before.RUN


def test_the_best_row_is_the_predictor_that_the_report_opens_with(real_run: Path) -> None:
    best = score_rows.read(RunFolder.open(real_run)).best
    assert best
    facts = read_run(real_run)
    sentence = str(answer(facts, compare_to_baselines(facts.groups)))
    assert f"<strong>{best['predictor']}</strong>" in sentence
    assert f"{best['contested_top1']:.1%}".rstrip("%") in sentence


def test_every_row_has_the_same_columns_and_each_score_its_interval(real_run: Path, tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6)
    path = tmp_path / "models" / "markov_s0" / "scores.json"
    path.write_text(json.dumps({"predictor": "markov"}))  # nothing was scored
    rows = [*score_rows.read(RunFolder.open(real_run)).rows, *score_rows.read(RunFolder.open(tmp_path)).rows]
    assert {tuple(row) for row in rows} == {score_rows.COLUMNS}
    for row in rows[:-1]:
        assert row["contested_top1_low"] <= row["contested_top1"] <= row["contested_top1_high"], row
    assert rows[-1]["contested_top1"] is None


def test_ls_and_show_give_programs_the_same_scores(real_run: Path) -> None:
    (listed,) = json.loads(harness("ls", "--runs", real_run.parent, "--json").stdout)["runs"]
    assert listed["scores"] == json.loads(harness("show", real_run, "--json").stdout)["scores"]
    assert [row["predictor"] for row in listed["scores"] if row["best"]] == ["lstm"]


def test_changed_scores_are_left_out(tmp_path: Path) -> None:
    run = written_before.unpack(tmp_path) / written_before.RUN
    (run / "models" / "lstm_s0" / "scores.json").write_text('{"predictor": "lstm"}')
    assert "lstm" not in {row["predictor"] for row in score_rows.read(RunFolder.open(run)).rows}


def test_a_run_has_the_name_of_its_folder_after_it_was_moved(tmp_path: Path) -> None:
    run = (written_before.unpack(tmp_path) / written_before.RUN).rename(tmp_path / "on_the_laptop")
    harness("report", run)
    page = (run / "report" / "index.html").read_text("utf-8")
    for shown in (harness("ls", "--runs", tmp_path).stdout, harness("show", run).stdout, page):
        assert "on_the_laptop" in shown
        assert written_before.RUN not in shown

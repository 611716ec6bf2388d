"""`harness model export` and `harness model compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import synthetic_run
from command_line import harness

from model import predictors
from model.data import synthetic
from model.jobs import Job, run


def model(*arguments: str | Path, code: int = 0) -> Any:
    return harness("model", *arguments, code=code)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    synthetic.write(folder / "tables", synthetic.Source(tasks=4, seed=5), events=3_000)
    run(Job((folder / "tables",), "markov", 0, "task", (0.7, 0.15, 0.15), folder / "markov_s0"))
    return folder / "markov_s0"


def test_export_writes_a_c_file_and_its_header_and_says_where(stored: Path, tmp_path: Path) -> None:
    result = json.loads(model("export", stored, "--to", "c", "-o", tmp_path / "c", "--json").stdout)
    assert [Path(path).name for path in result["paths"]] == ["markov_s0.c", "markov_s0.h"]
    assert all("Trained with the host's clock" in Path(path).read_text() for path in result["paths"])
    assert str(tmp_path / "c" / "markov_s0.h") in model("export", stored, "-o", tmp_path / "c").stdout


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--to", "rust"], 2, "unknown format 'rust'"),
        (["--quantize", "int8"], 1, "only gru and lstm"),
        (["--quantize", "int4"], 1, "float, int8"),
    ],
)
def test_an_export_that_is_impossible_says_why(
    stored: Path, tmp_path: Path, more: list[str], code: int, words: str
) -> None:
    answer = model("export", stored, "-o", tmp_path / "c", *more, code=code)
    assert words in " ".join(answer.stderr.split())
    assert not (tmp_path / "c").exists()


def test_a_folder_without_a_model_is_one_clear_error(tmp_path: Path) -> None:
    assert "expected the folder of a trained predictor" in " ".join(
        model("export", tmp_path, "-o", tmp_path, code=2).stderr.split()
    )


@pytest.mark.parametrize("command", ["model export", "model show", "evaluate --model", "predict --model"])
def test_a_model_whose_library_is_missing_is_a_lack_of_this_host_and_names_the_extra(
    command: str, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(predictors.EXTRAS, "markov", ("no_such_module", "boosting", "no-such-package"))
    more = {"model export": ["-o", tmp_path / "c"], "model show": []}.get(command, [stored.parent / "tables"])
    error = json.loads(harness(*command.split(), stored, *more, "--json", code=3).stdout)["error"]
    what = "no-such-package is not installed: it comes with the extra boosting"
    assert (error["type"], error["what"], error["where"]) == ("MissingExtraError", what, "predictor markov")
    assert error["try"].endswith("[boosting]'")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table and a tree on one recording, and a table on another."""
    folder = tmp_path_factory.mktemp("several")
    for name in ("tables", "other"):
        synthetic.write(folder / name, synthetic.Source(tasks=4, seed=5), events=3_000)
    models, split = folder / "models", (0.7, 0.15, 0.15)
    for kind in ("most_frequent", "decision_tree"):
        run(Job((folder / "tables",), kind, 0, "task", split, models / f"{kind}_s0"))
    run(Job((folder / "other",), "markov", 0, "task", split, models / "markov_s0"))
    return models


@pytest.mark.slow
def test_two_predictors_are_compared_on_the_same_events(several: Path) -> None:
    (result,) = json.loads(model("compare", several, "decision_tree", "most_frequent", "--json").stdout)["comparisons"]
    assert (result["predictor"], result["baseline"], result["seeds"]) == ("decision_tree", "most_frequent", ["0"])
    found = result["parts"]["contested"]["top1"]
    assert found["outcome"] == "better"
    low, high = found["together"]["difference_ci"]
    assert 0 < low < found["together"]["difference"] < high
    assert found["difference_seeds_ci"] is None  # one seed says nothing about others
    assert result["parts"]["overall"]["bits_per_switch"]["together"]["saving"] > 0
    shown = model("compare", several).stdout  # without names: the best against the best baseline
    assert "decision_tree (inputs: slices) against most_frequent (inputs: marks), predicting task" in shown


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["decision_tree"], 2, "a baseline is missing"),
        (["decision_tree", "decision_tree"], 2, "decision_tree cannot be compared with itself"),
        (["decision_tree", "lstm"], 1, "expected: two of: "),
        (["decision_tree", "markov"], 1, "no decision_tree and markov scored on the same recordings"),
    ],
)
def test_a_comparison_that_is_impossible_says_why(several: Path, names: list[str], code: int, words: str) -> None:
    assert words in model("compare", several, *names, code=code).stderr


def test_where_a_baseline_is_the_best_the_two_to_compare_are_named(several: Path, tmp_path: Path) -> None:
    for kind in ("decision_tree", "slice_markov"):
        tables, out = several.parent / "tables", tmp_path / f"{kind}_s0"
        run(Job((tables,), kind, 0, "task", (0.7, 0.15, 0.15), out, {"depth": 1} if kind == "decision_tree" else {}))
    ended = model("compare", tmp_path, code=1).stderr
    assert "nothing with the inputs slices beats the baseline slice_markov" in ended
    assert f"harness model compare {tmp_path} decision_tree slice_markov" in " ".join(ended.split())


def test_a_folder_without_scores_has_nothing_to_compare(tmp_path: Path) -> None:
    assert "no scored models here" in model("compare", tmp_path, code=2).stderr


def test_models_whose_outcomes_are_missing_are_not_compared(several: Path, tmp_path: Path) -> None:
    shutil.copytree(several, tmp_path / "models")
    (tmp_path / "models" / "decision_tree_s0" / "outcomes.parquet").unlink()
    ended = model("compare", tmp_path / "models", "decision_tree", "most_frequent", code=1)
    assert "outcomes.parquet: no such table" in ended.stderr


def test_a_warning_names_a_model_that_was_not_trained_to_the_end(several: Path, tmp_path: Path) -> None:
    shutil.copytree(several, tmp_path / "models")
    (tmp_path / "models" / "decision_tree_s1").mkdir()
    ended = model("compare", tmp_path / "models", "decision_tree", "most_frequent", "--json")
    assert json.loads(ended.stdout)["comparisons"][0]["seeds"] == ["0"]
    assert "left out: decision_tree_s1 has no scores.json" in " ".join(ended.stderr.split())


@pytest.mark.slow
def test_folds_whose_recordings_share_a_name_are_compared_one_by_one(tmp_path: Path) -> None:
    runs = [tmp_path / run / "trial" for run in ("first", "second")]
    for seed, folder in enumerate(runs):
        synthetic.write(folder, synthetic.Source(tasks=4, seed=seed), events=2_000)
    named = ["-p", "markov", "-p", "most_frequent", "--split", "recording"]
    harness("train", *runs, *named, "-o", tmp_path / "models")
    document = json.loads(model("compare", tmp_path / "models", "markov", "most_frequent", "--json").stdout)
    result = document["comparisons"]
    assert [(one["seeds"], one["missing"]) for one in result] == [(["0"], None)] * 2
    assert len({one["tested_on"] for one in result}) == 2
    shown = " ".join(model("compare", tmp_path / "models", "markov", "most_frequent").stdout.split())
    folds = sorted(path.name.partition(".")[2] for path in (tmp_path / "models").glob("markov_s0.*"))
    assert all(f"predicting task, tested on {fold}" in shown for fold in folds)


def test_predictors_of_different_clocks_are_not_compared(tmp_path: Path) -> None:
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.8, clock="counted", cpu_speed=125)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.7)
    refused = " ".join(model("compare", tmp_path / "models", "lstm", "markov", code=1).stderr.split())
    assert "the clock of lstm is counted: 125 instructions per microsecond (8 ns each)" in refused
    assert "the clock of markov is the host's; scores of different clocks are not compared" in refused

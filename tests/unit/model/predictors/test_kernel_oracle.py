"""The paper's network as a predictor, and the command that prints its curves and scores."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from locations import ROOT

from harness.cli.train import _choose_predictors
from model.data import streams
from model.errors import SettingError, StreamError
from model.predictor import ignore_progress
from model.predictors import REPRODUCTIONS, create

pytestmark = pytest.mark.slow

SMALL = {"sequences": 400, "steps": 6, "max_events": 4000}
EXPERIMENT = """
name: small
machine: {box: debian-12}
load: {kind: nginx_ab}
model:
  mark: task
  predictors: [paper_as_coded, paper_corrected, most_frequent]
  seeds: [0, 1]
  params:
    paper_as_coded: {sequences: 100, steps: 2, max_events: 2000}
    paper_corrected: {sequences: 100, steps: 2, max_events: 2000}
"""


def bits(kind: str, settings: dict[str, object], dataset: streams.Dataset) -> float:
    """Bits per event of the test part."""
    predictor = create(kind, settings)
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    test = dataset.test[0]
    mark = test.of(test.stream.mark)
    return float(-predictor.predict(test).log_probs[np.arange(len(mark)), mark].mean() / np.log(2))


def test_it_learns_from_the_past_in_order_but_not_scrambled(dataset: streams.Dataset) -> None:
    floor = bits("most_frequent", {}, dataset)
    assert bits("paper_corrected", SMALL, dataset) < floor - 0.2
    assert bits("paper_as_coded", SMALL, dataset) > floor - 0.05


def test_its_history_is_the_curve_with_its_baselines(dataset: streams.Dataset) -> None:
    predictor = create("paper_as_coded", {**SMALL, "steps": 2})
    rows = predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    assert [row["step"] for row in rows] == [1, 2]
    assert rows[0]["table_loss"] < rows[0]["column_clock_loss"] < rows[0]["constant_loss"]
    assert rows[1]["train_loss"] < rows[0]["train_loss"]


@pytest.mark.parametrize("kind", REPRODUCTIONS)
def test_each_choice_is_a_setting_and_the_rest_follows_the_name(kind: str) -> None:
    settings = create(kind, {}).settings()
    switched = create(kind, {"scrambled": not settings["scrambled"]}).settings()
    assert switched == {**settings, "scrambled": not settings["scrambled"]}
    assert settings["scrambled"] is (kind != "paper_corrected")


def test_a_seed_draws_other_weights_and_seed_0_those_of_the_paper(dataset: streams.Dataset) -> None:
    def curve(**seed: int) -> list[dict[str, float]]:
        predictor = create("paper_as_coded", {**SMALL, "steps": 1, **seed})
        return predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)

    assert curve() == curve(seed=0) != curve(seed=1)
    with pytest.raises(SettingError, match="seed -1"):
        create("paper_as_coded", {"seed": -1})


def test_they_are_trained_only_when_named() -> None:
    assert not set(_choose_predictors(None, "slices")) & set(REPRODUCTIONS)
    assert _choose_predictors(["paper_corrected"], "slices") == ["paper_corrected"]


def test_max_events_bounds_the_training_events(dataset: streams.Dataset) -> None:
    predictor = create("paper_corrected", {**SMALL, "sequences": 166, "max_events": 500})
    predictor.choices = dataclasses.replace(predictor.choices, sequences=400)
    with pytest.raises(StreamError, match="500 switches"):
        predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    with pytest.raises(SettingError, match="at least 502"):
        create("paper_corrected", {"sequences": 167, "max_events": 500})
    with pytest.raises(SettingError, match="max_events 0"):
        create("paper_corrected", {"max_events": 0})


def paper(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "paper.py"), *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_the_command_trains_on_any_recording_then_reads_the_models_of_a_run(recording: Path, tmp_path: Path) -> None:
    experiment, figure = tmp_path / "small.yaml", tmp_path / "paper.svg"
    experiment.write_text(EXPERIMENT)
    models = tmp_path / "run" / "models"
    trained = paper(recording, "--experiment", experiment, "--out", models, "--figure", figure)
    assert trained.returncode == 0, trained.stderr
    assert "| paper_as_coded | 2 | 2 |" in trained.stdout
    assert "| most_frequent | marks | 1 |" in trained.stdout
    rows = {
        line.split(" | ")[0][2:]: line.strip(" |").split(" | ") for line in trained.stdout.splitlines() if " | " in line
    }
    assert " to " in rows["paper_corrected"][-1], "an interval over seeds"
    assert ["to" in cell.split() for cell in rows["most_frequent"][5:]] == [True, False, False, True, False]
    assert len(ElementTree.parse(figure).findall(".//{*}polyline")) == 12  # train and test: two seeds, mean; two panels
    assert paper(tmp_path / "run").stdout == trained.stdout


def test_the_command_reports_a_folder_without_slices(tmp_path: Path) -> None:
    result = paper(tmp_path)
    assert result.returncode == 1
    assert "no slices.parquet" in result.stderr
    assert "Traceback" not in result.stderr

"""`harness model show`, on the models of every kind that an earlier version wrote, and those of its run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import LIMIT_S, harness
from written_before import RUN, TRIAL, unpack

from model.predictors import installed

KINDS = ("cfs_replay", "ctw", "decision_tree", "gradient_boosting", "gru", "nhp", "repeat", "replay_residual", "rmtpp")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("stored"))


def show(*arguments: str | Path, code: int = 0) -> Any:
    return harness("model", "show", *arguments, code=code)


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_network_is_shown_with_layers_shapes_parameters_settings_and_origin(stored: Path) -> None:
    shown = words(show(stored / RUN / "models" / "lstm_s0").stdout)
    assert "predictor lstm (inputs: slices; predicts: task)" in shown
    assert "hidden 16, learning_rate 0.025, lanes by the data" in shown
    assert "max_seconds without limit" in shown
    assert "trained on 000_nginx_ab (kernel 6.1.0-" in shown
    assert "size 23,818 bytes parameters 5,433, of which 5,433 are trained" in shown
    assert "cell LSTM weight_ih_l0 64x21, weight_hh_l0 64x16, bias_ih_l0 64, bias_hh_l0 64 2,496" in shown


@pytest.mark.parametrize("kind", [kind for kind in KINDS if installed(kind)])
def test_every_kind_is_shown_with_what_it_holds(stored: Path, kind: str) -> None:
    document = json.loads(show(stored / "models", "-p", kind, "--json").stdout)
    assert [*document] == ["model", "graph"]
    model = document["model"]
    assert (model["predictor"], model["trials"], document["graph"]) == (kind, ["000_nginx_ab"], None)
    assert {part["name"] for part in model["parts"]} - {"choices"} or model["layers"]


@pytest.mark.parametrize(
    ("given", "predictor"),
    [
        ("models/gru_s0", None),
        ("models/gru_s0/config.json", None),
        ("models/gru_s0/weights.safetensors", "gru"),
        ("models", "gru"),
        ("models", "gru_s0"),
        (RUN, "lstm"),
        (TRIAL, "lstm"),
        ("2026-11-29", "lstm_s0"),
        ("2026-11-29/000_nginx_ab", "lstm"),
        ("2026-11-29/trials/000_nginx_ab", "lstm"),
    ],
)
def test_a_model_is_found_by_its_folder_or_in_a_run_or_a_trial(
    stored: Path, monkeypatch: pytest.MonkeyPatch, given: str, predictor: str | None
) -> None:
    monkeypatch.chdir(stored)
    named = ["-p", predictor] if predictor else []
    found = json.loads(show(given, *named, "--runs", stored, "--json").stdout)["model"]["path"]
    assert Path(found).name in ("gru_s0", "lstm_s0")
    assert (Path(found) / "weights.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([RUN], "3 models here expected: --predictor with one of: lstm_s0, markov_s0, most_frequent_s0"),
        ([RUN, "-p", "gru"], "no model of gru here expected: --predictor with one of: lstm_s0, markov_s0"),
        ([f"{RUN}/000_other", "-p", "lstm"], "no model that learned from 000_other here"),
        (["models/gru_s0", "-p", "lstm"], "this model is no lstm expected: gru"),
        (["nowhere"], "there is no run 'nowhere'"),
        (["models/gru_s0", "--graph", "step.gif"], "a graph is not drawn as .gif expected: .svg, .pdf, .png"),
        (["models/gru_s0", "--graph", "step"], "a graph is not drawn as a file without a suffix"),
        (["models/ctw_s0", "--graph", "step.svg"], "ctw: only a network has a computational graph"),
    ],
)
def test_what_cannot_be_shown_or_drawn_says_what_can_and_writes_nothing(
    stored: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.chdir(stored)
    before = sorted(stored.iterdir())
    assert expected in words(show(*arguments, "--runs", stored, code=2).stderr)
    assert sorted(stored.iterdir()) == before


def test_of_several_seeds_the_first_is_shown_with_a_note(stored: Path, tmp_path: Path) -> None:
    for seed in (1, 0):
        shutil.copytree(stored / "models" / "gru_s0", tmp_path / f"gru_s{seed}")
    config = tmp_path / "gru_s1" / "config.json"
    config.write_text(config.read_text().replace('"about": {\n  "seed": 0', '"about": {\n  "seed": 1'))
    ended = show(tmp_path, "-p", "gru", "--json")
    assert json.loads(ended.stdout)["model"]["path"].endswith("gru_s0")
    assert "note: this is gru_s0; other seeds of it: gru_s1" in ended.stderr


def test_a_damaged_model_is_one_clear_error(stored: Path, tmp_path: Path) -> None:
    shutil.copytree(stored / "models" / "gru_s0", tmp_path / "gru_s0")
    (tmp_path / "gru_s0" / "weights.safetensors").write_bytes(b"x")
    assert "not the weights that config.json was written with" in words(show(tmp_path / "gru_s0", code=1).stderr)


def test_a_network_is_drawn_into_the_file_that_is_named(stored: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchview", reason="the extra graph is not installed")
    target = tmp_path / "step.svg"
    shown = show(stored / "models" / "gru_s0", "--graph", target).stdout
    assert shown.splitlines()[-1] == str(target)
    assert "<title>One step of gru_s0</title>" in target.read_text("utf-8")
    assert "mark_given" in target.read_text("utf-8")


@pytest.mark.slow
def test_without_the_extra_the_command_that_installs_it_is_named(stored: Path, tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['torchview'] = None; from harness.cli import main; main()"
    target = tmp_path / "step.svg"
    ended = subprocess.run(
        [sys.executable, "-c", hidden, "model", "show", str(stored / "models" / "gru_s0"), "--graph", str(target)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert ended.returncode == 3
    assert "torchview is not installed: it comes with the extra graph" in ended.stderr
    assert "[graph]" in ended.stderr
    assert not target.exists()


def test_without_graphviz_its_package_is_named(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchview", reason="the extra graph is not installed")
    monkeypatch.setenv("PATH", "/nonexistent")
    ended = show(stored / "models" / "gru_s0", "--graph", tmp_path / "step.svg", code=3)
    assert "apt-get install --no-install-recommends graphviz" in words(ended.stderr)
    assert list(tmp_path.iterdir()) == []

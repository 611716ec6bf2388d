"""`train`, `evaluate` and `predict` say of which kernel, machine and file the recordings are, and whether that fits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import harness
from kept import unpacked_into
from shorten import shortened

from model.files import sealed

pytestmark = pytest.mark.slow
LEARNED, TESTED = "6.1.0-56-cloud-amd64", "6.12.117+deb13-cloud-amd64"


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a recording of Linux 6.12; `tables` are of 6.1."""
    folder = tmp_path_factory.mktemp("newer")
    recording = unpacked_into(folder, "debian13_guest_6_12")
    recording.write_bytes(shortened(recording.read_bytes(), 6_000))
    harness("trace", "convert", recording, "-o", folder / "tables")
    return folder / "tables"


@pytest.fixture(scope="module")
def model(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    harness("train", tables, "-p", "markov", "-o", folder)
    return folder / "markov_s0"


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_model_of_one_kernel_scores_another_only_with_a_flag_and_says_so(model: Path, newer: Path) -> None:
    for command in ("evaluate", "predict"):
        wanted = [command, newer, "--model", model]
        refused = words(harness(*wanted, code=1).stderr)
        assert f"{model} is of Linux {LEARNED}, {newer} of Linux {TESTED}: they may schedule differently" in refused
        assert "give --across-kernels to go on nevertheless" in refused
        sentence = f"Across kernels: trained on Linux {LEARNED}, scored on Linux {TESTED}"
        assert sentence in words(harness(*wanted, "--across-kernels").output)
        document = json.loads(harness(*wanted, "--across-kernels", "--json").stdout)
        (one,) = document["scores"] if command == "evaluate" else [document]
        assert one["caveat"].startswith(sentence)


def test_recordings_of_another_kernel_are_tested_on_only_with_a_flag(tables: Path, newer: Path, tmp_path: Path) -> None:
    wanted = ["train", tables, "--test", newer, "-p", "markov", "-o", tmp_path / "models"]
    assert f"{tables} is of Linux {LEARNED}, {newer} of Linux {TESTED}" in words(harness(*wanted, code=1).stderr)
    assert not (tmp_path / "models").exists()
    assert "Across kernels: " in words(harness(*wanted, "--across-kernels").stdout)
    stored = json.loads((tmp_path / "models" / "markov_s0" / "scores.json").read_text())
    assert (stored["kernel"], stored["tested_kernel"]) == (LEARNED, TESTED)
    assert [one["name"] for side in stored["recordings"].values() for one in side] == ["tables", "tables"]


def test_recordings_of_several_kernels_are_never_pooled(tables: Path, newer: Path, tmp_path: Path) -> None:
    refused = harness("train", tables, newer, "-p", "markov", "-o", tmp_path / "models", code=1)
    assert "recordings of several kernels" in words(refused.stderr)
    refused = harness("evaluate", tables, "--across-kernels", code=2)
    assert "--across-kernels applies to recordings that are tested on as a whole" in words(refused.stderr)


def test_models_of_different_kernels_are_no_seeds_of_one(
    model: Path, tables: Path, newer: Path, tmp_path: Path
) -> None:
    harness("train", newer, "-p", "markov", "-o", tmp_path)
    both = ["evaluate", tables, "--model", model, "--model", tmp_path / "markov_s0", "--across-kernels", "--json"]
    assert [one["kernel"] for one in json.loads(harness(*both).stdout)["scores"]] == [LEARNED, TESTED]


def test_a_recording_that_was_not_whole_is_named_beside_its_scores(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "perf.data").write_bytes(shortened(raw.read_bytes(), 12_000)[:1_000_000])
    cut = tmp_path / "cut"
    harness("trace", "convert", tmp_path / "perf.data", "-o", cut, "--formats-from", raw, code=1)
    shown = harness("evaluate", cut, "-p", "markov", code=1)
    assert "Not whole: cut (" in words(shown.stdout)
    (scores,) = json.loads(harness("evaluate", cut, "-p", "markov", "--json", code=1).stdout)["scores"]
    assert "Not whole: cut (" in scores["caveat"]


def test_machines_that_differ_and_an_unknown_kernel_are_notes_on_stderr(
    model: Path, tables: Path, tmp_path: Path
) -> None:
    other = changed(tables, tmp_path / "other", nrcpus=8)
    shown = harness("evaluate", other, "--model", model)
    assert "note: The machines differ: trained on " in shown.stderr
    assert "8 CPUs of " in shown.stderr
    assert "note: " not in harness("evaluate", other, "--model", model, "-q").stderr
    unnamed = changed(tables, tmp_path / "unnamed", os_release=None)
    shown = harness("evaluate", unnamed, "-p", "markov")
    assert "note: The kernel of unnamed (short.data does not name it) is not known" in shown.stderr
    shown = harness("evaluate", unnamed, "--model", model)
    assert "The kernel of unnamed (short.data does not name it) is not known" in words(shown.stdout)


def changed(tables: Path, folder: Path, **header: Any) -> Path:
    """A copy of these tables with another header."""
    path = Path(shutil.copytree(tables, folder)) / "recording.json"
    facts = json.loads(path.read_bytes())
    path.write_text(json.dumps(sealed({**facts, "header": {**facts["header"], **header}})))
    return folder


def test_facts_of_a_recording_that_were_edited_are_not_believed(tables: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(tables, tmp_path / "edited")) / "recording.json"
    facts = json.loads(path.read_bytes())
    for edited in (
        {**facts, "header": {**facts["header"], "os_release": "6.1.0-57-cloud-amd64"}},
        {**facts, "quality": {**facts["quality"], "whole": False}},
        {key: value for key, value in facts.items() if key != "table_sha256"},
    ):
        path.write_text(json.dumps(edited))
        for command in (["train", "-p", "markov", "-o", tmp_path / "models"], ["evaluate", "-p", "markov"]):
            refused = harness(*command, path.parent, code=1)
            assert f"{path}: not as it was written, as its SHA-256 differs: convert the recording again" in words(
                refused.stderr
            )


def test_a_stored_model_whose_facts_were_edited_is_not_used(tables: Path, model: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(model, tmp_path / "edited")) / "config.json"
    config = json.loads(path.read_bytes())
    config["about"]["recordings"][0]["kernel"] = "6.1.0-57-cloud-amd64"
    path.write_text(json.dumps(config))
    refused = harness("evaluate", tables, "--model", path.parent, code=1)
    assert f"{path}: not as it was written, as its SHA-256 differs: train again" in words(refused.stderr)


def test_scores_that_were_edited_are_made_again_and_not_compared(tables: Path, tmp_path: Path) -> None:
    command = ["train", tables, "-p", "markov", "-p", "most_frequent", "-o", tmp_path]
    harness(*command)
    path = tmp_path / "markov_s0" / "scores.json"
    scores = json.loads(path.read_bytes())
    scores["contested"]["top1"] = 0.995
    path.write_text(json.dumps(scores))
    refused = harness("model", "compare", tmp_path, "markov", "most_frequent", "--json", code=1)
    assert "markov_s0 cannot be read: scores.json is not as it was written" in words(refused.stderr)
    assert "99.5%" not in harness(*command).stdout
    harness("model", "compare", tmp_path, "markov", "most_frequent")

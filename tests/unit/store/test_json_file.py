"""JSON files of a run: what is damaged is an error with the file, the key, what was found and what was expected."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import comparable_run
import pytest

from harness.errors import StoreError
from harness.store import RunFolder
from harness.store.trial_record import read_scores, read_trial

TRIALS = {
    "text for a number": ({"switches": "many"}, "switches is 'many'", "a finite number"),
    "true for a number": ({"idle_share": True}, "idle_share is true", "a finite number"),
    "not a number": ({"requests_per_s": float("nan")}, "requests_per_s is NaN", "a finite number"),
    "infinity": ({"requests_per_s": float("inf")}, "requests_per_s is Infinity", "a finite number"),
    "a number beyond any float": ({"switches": 10**400}, "switches is 1000", "at most 2^64"),
    "a list for a mapping": ({"quality": [1]}, "quality is a list", "a mapping"),
    "a wrong value within a mapping": ({"host": {"share": {}}}, "host.share is a mapping", "a finite number"),
    "a number for text": ({"name": 5}, "name is 5", "text"),
    "half a character": ({"arm": "\ud800"}, r"arm is '\ud800'", "text"),
    "text for a truth": ({"verdict": {"ok": "yes"}}, "verdict.ok is 'yes'", "true or false"),
}
MANIFESTS = {
    "a step that is a list": ({"steps": {"box": []}}, "steps.box is a list", "a mapping"),
    "a step without a state": ({"steps": {"box": {}}}, "steps.box.state is missing", "one of: running, interrupted"),
    "arms that are text": ({"arms": "all"}, "arms is 'all'", "a mapping"),
    "an arm without a machine": ({"arms": {"a": {"box": {"name": "b"}}}}, "arms.a.machine is missing", "a mapping"),
    "a machine whose clock is a list": ({"machine": {"clock": []}}, "machine.clock is a list", "text"),
    "an experiment without a name": ({"spec": {}}, "spec.name is missing", "text"),
    "infinity anywhere": ({"host": {"cores": float("inf")}}, "host.cores is Infinity", "a finite number"),
    "a step that names a folder elsewhere": (
        {"steps": {"trial:../x": {"state": "done", "seconds": 1, "outputs": {}, "detail": {}, "error": None}}},
        "'../x'", "inside of the run folder",
    ),
}  # fmt: skip


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else {}


@pytest.mark.parametrize("case", TRIALS)
def test_a_wrong_value_of_a_trial_is_named_with_its_file_and_key(tmp_path: Path, case: str) -> None:
    values, words, expected = TRIALS[case]
    trial = comparable_run.make(tmp_path / "run").trial_dir("000_nginx_ab")
    change(trial / "trial.json", **values)
    with pytest.raises(StoreError, match=re.escape(words)) as caught:
        read_trial(trial)
    assert caught.value.where == str(trial / "trial.json")
    assert expected in str(caught.value.expected)


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_wrong_value_of_a_manifest_is_named_with_its_file_and_key(tmp_path: Path, case: str) -> None:
    values, words, expected = MANIFESTS[case]
    run = comparable_run.make(tmp_path / "run").path
    change(run / "manifest.json", **values)
    with pytest.raises(StoreError, match=re.escape(words)) as caught:
        RunFolder.open(run)
    assert caught.value.where == str(run / "manifest.json")
    assert expected in str(caught.value.expected)


def test_nesting_that_could_not_be_written_again_is_an_error(tmp_path: Path) -> None:
    run = comparable_run.make(tmp_path / "run").path
    change(run / "manifest.json", host=deep(400))
    with pytest.raises(StoreError, match="nested too deeply"):
        RunFolder.open(run)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"predictor": "lstm", "by_trial": [1]}']
)
def test_a_damaged_scores_file_is_an_error_and_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"scores\.json is damaged"):
        read_scores(tmp_path)


def test_a_pipe_is_an_error_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trial.json")
    with pytest.raises(StoreError, match="a device, a pipe or a socket"):
        read_trial(tmp_path)


def test_keys_that_a_later_version_adds_are_no_damage(tmp_path: Path) -> None:
    trial = comparable_run.make(tmp_path / "run").trial_dir("000_nginx_ab")
    change(trial / "trial.json", moon={"phase": [1, "full"]}, host={"share": None, "fans": "loud"})
    assert read_trial(trial)["moon"] == {"phase": [1, "full"]}

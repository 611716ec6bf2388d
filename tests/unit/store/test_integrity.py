"""Whether what a command reads is what the run wrote, on a real run folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import written_before
from git_repository import commit_all

from harness import spec, version
from harness.errors import StoreError
from harness.store import RunFolder, software
from harness.store.integrity import REPORTED, SHOWN, require_unchanged

SCORES = "models/lstm_s0/scores.json"
SLICES = "trials/000_nginx_ab/slices.parquet"
EXPERIMENT = spec.from_dict({"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return written_before.unpack(tmp_path) / written_before.RUN


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def problems(run: Path, patterns: tuple[str, ...]) -> dict[str, str]:
    return {problem.path: problem.kind for problem in RunFolder.open(run).check_files(patterns).problems}


def edit_manifest(run: Path, change: dict[str, Any]) -> None:
    path = run / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_the_files_that_are_read_are_checked_and_no_others(run: Path) -> None:
    whole = RunFolder.open(run).check_files(REPORTED)
    assert (whole.problems, whole.unlisted, whole.sealed) == ((), (), False)
    assert whole.intact == 12
    flip_a_bit(run / "trials" / "000_nginx_ab" / "perf.data.zst")  # read by none of the commands that show a run
    assert problems(run, REPORTED) == {}
    for path in (SCORES, SLICES):
        flip_a_bit(run / path)
    assert problems(run, REPORTED) == {SCORES: "changed", SLICES: "changed"}
    assert problems(run, SHOWN) == {SCORES: "changed"}


def test_a_file_that_is_gone_or_no_file_is_a_problem_and_one_that_no_step_wrote_is_listed(run: Path) -> None:
    (run / SCORES).unlink()
    (run / SLICES).unlink()
    (run / SLICES).symlink_to(run / SLICES)
    shutil.copytree(run / "models" / "markov_s0", run / "models" / "oracle_s0")
    found = RunFolder.open(run).check_files(REPORTED)
    kinds = {problem.path: problem.kind for problem in found.problems}
    oracle = {path: "extra" for path in kinds if path.startswith("models/oracle_s0/")}
    assert kinds == {SCORES: "missing", SLICES: "missing", **oracle}
    assert len(oracle) == 3
    assert found.unbelieved_models == {"lstm_s0", "oracle_s0"}


def test_the_files_of_a_step_that_is_not_done_are_unknown(run: Path) -> None:
    folder = RunFolder.open(run)
    folder.begin("model:markov_s0")
    found = folder.check_files(SHOWN)
    assert found.problems == ()
    assert {path.split("/")[1] for path in found.unlisted} == {"markov_s0"}


def test_a_manifest_has_a_hash_of_its_own_and_one_without_still_opens(run: Path, tmp_path: Path) -> None:
    assert not RunFolder.open(run).is_edited
    folder = RunFolder.create(tmp_path, EXPERIMENT, [])
    folder.begin("box")
    assert RunFolder.open(folder.path).check_files(SHOWN).sealed
    edit_manifest(folder.path, {"state": "done"})
    assert problems(folder.path, SHOWN) == {"manifest.json": "changed"}
    assert [problem.path for problem in RunFolder.open(folder.path).verify()] == ["manifest.json"]


def test_one_bit_anywhere_in_a_manifest_is_noticed(tmp_path: Path) -> None:
    path = RunFolder.create(tmp_path, EXPERIMENT, ["harness", "run"]).path
    whole = (path / "manifest.json").read_bytes()
    content = json.loads(whole)
    for position in range(0, len(whole), 7):
        flipped = bytes([whole[position] ^ 1 << position % 8])
        (path / "manifest.json").write_bytes(whole[:position] + flipped + whole[position + 1 :])
        try:
            folder = RunFolder.open(path)
        except StoreError:
            continue
        found = folder.check_files(SHOWN)
        assert found.problems or not found.sealed or folder.manifest == content, whole[position - 20 : position + 20]


def test_a_change_of_the_manifest_is_still_known_after_harness_wrote_it_again(tmp_path: Path) -> None:
    path = RunFolder.create(tmp_path, EXPERIMENT, []).path
    edit_manifest(path, {"host": {"cpu": "another"}})
    folder = RunFolder.open(path)
    with folder.lock():
        folder.update(state="done")
        folder.begin("report")
    assert problems(path, SHOWN) == {"manifest.json": "changed"}
    assert "before 20" in RunFolder.open(path).check_files(SHOWN).sentences[0]


def test_another_trials_table_is_refused_with_its_name_and_the_way_out(run: Path) -> None:
    trial = run / "trials" / "000_nginx_ab"
    assert require_unchanged(trial) == []
    assert require_unchanged(run / "models" / "lstm_s0") == []
    shutil.copy(trial / "wakeups.parquet", trial / "slices.parquet")
    with pytest.raises(StoreError, match=r"slices\.parquet is not the file that the run wrote") as caught:
        require_unchanged(trial)
    assert "harness trace convert" in str(caught.value.hint)
    alone = shutil.copytree(trial, run.parent / "alone")
    assert require_unchanged(alone) == []


def test_a_run_whose_manifest_is_damaged_or_edited_is_named_by_those_who_read_its_tables(run: Path) -> None:
    edit_manifest(run, {"sha256": "0" * 64})
    assert "manifest.json: changed" in require_unchanged(run / "trials" / "000_nginx_ab")[0]
    (run / "manifest.json").write_text("{")
    assert "was not compared" in require_unchanged(run / "trials" / "000_nginx_ab")[0]


def test_the_software_is_named_with_its_commit_and_whether_files_were_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "a.py").write_text("a = 1\n")
    (tmp_path / "pyproject.toml").write_text(f'name = "{version.DISTRIBUTION}"\n')
    git = commit_all(tmp_path)
    monkeypatch.setattr(version, "CHECKOUT", tmp_path)
    monkeypatch.setenv("GIT_DIR", "/nonexistent")  # a hook of git sets it
    fresh = software.versions.__wrapped__
    known = fresh()
    monkeypatch.delenv("GIT_DIR")
    assert (known["commit"], known["dirty"]) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "notes.txt").write_text("decides nothing")
    assert fresh()["dirty"] is False
    (tmp_path / "harness" / "b.py").write_text("a new module")
    assert fresh()["dirty"] is True
    monkeypatch.setattr(version, "CHECKOUT", tmp_path / "harness")  # as where it is installed
    assert (fresh()["commit"], fresh()["dirty"]) == (None, None)


def test_a_step_that_another_version_did_names_it(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, EXPERIMENT, [])
    folder.begin("box")
    assert folder.manifest["steps"]["box"]["versions"] is None
    folder.update(versions={"harness": "0.2.0", "python": "3.11.2", "packages": {}})
    folder.begin("box")
    assert folder.manifest["steps"]["box"]["versions"] == software.versions()


def test_the_planned_trials_are_in_the_manifest_from_the_start(tmp_path: Path) -> None:
    swept = {"sweep": {"record.seconds": [2, 3]}, "trials": {"repeat": 6}}
    experiment = spec.from_dict({"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}, **swept})
    assert RunFolder.create(tmp_path, experiment, []).manifest["trials_planned"] == 12

"""Paths in experiment files: relative to the file, made absolute, looked for; a run keeps copies and hashes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from harness import plan, spec
from harness.cli.run import _load as load_for_run
from harness.errors import SpecError, StoreError
from harness.files import tree_sha256
from harness.loads import OWN
from harness.named_files import ExistingFile, ExistingFolder
from harness.spec import Experiment
from harness.store import RunFolder, input_files, run_archive


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    times: ExistingFile


class Load(BaseModel):
    """A load whose parameters name files in every way that a type can."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["of_files"] = "of_files"
    plain: ExistingFile | None = None
    tree: ExistingFolder | None = None
    several: tuple[ExistingFile, ...] = ()
    arrivals: Inner | str | None = None
    parts: tuple[Any, ...] = ()
    text: str | None = None


HEAD = "name: x\nmachine: {box: debian-12}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files to name, which is not the current one."""
    monkeypatch.setitem(OWN, "of_files", Load)
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "inside"
    (inside / "tree" / "deep").mkdir(parents=True)
    (inside / "tree" / "deep" / "module.ko").write_bytes(b"\x7fELF")
    for name in ("a.csv", "b.csv"):
        (inside / name).write_text(name)
    (tmp_path / "c.csv").write_text("c")
    return inside


def load(folder: Path, text: str, overrides: dict[str, str] | None = None) -> Experiment:
    (folder / "e.yaml").write_text(HEAD + text)
    return spec.load(folder / "e.yaml", overrides)


def error_of(folder: Path, text: str, overrides: dict[str, str] | None = None) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(folder, text, overrides)
    return caught.value


def parameters(experiment: Experiment) -> dict[str, Any]:
    return dict(spec.to_dict(experiment)["load"])


def test_a_relative_path_begins_at_the_file_and_becomes_absolute_wherever_it_stands(folder: Path) -> None:
    loaded = parameters(
        load(
            folder,
            "load: {kind: of_files, plain: a.csv, tree: ./tree, several: [a.csv, ../c.csv], arrivals: {times: b.csv},\n"
            "       parts: [{kind: of_files, plain: b.csv}], text: a.csv}\n",
        )
    )
    assert (loaded["plain"], loaded["tree"]) == (str(folder / "a.csv"), str(folder / "tree"))
    assert loaded["several"] == [str(folder / "a.csv"), str(folder.parent / "c.csv")]
    assert loaded["arrivals"] == {"times": str(folder / "b.csv")}
    assert loaded["parts"][0]["plain"] == str(folder / "b.csv")
    assert loaded["text"] == "a.csv"


def test_a_path_of_the_command_line_begins_at_the_current_folder(folder: Path) -> None:
    loaded = load(folder, "load: {kind: of_files, plain: a.csv}\n", {"load.plain": "c.csv"})
    assert parameters(loaded)["plain"] == str(folder.parent / "c.csv")


def test_swept_files_become_absolute_too_and_each_arm_has_its_own(folder: Path) -> None:
    experiment = load(
        folder, "load: {kind: of_files}\nsweep: {'load.arrivals': [{times: a.csv}, {times: b.csv}, a.csv]}\n"
    )
    swept = [{"times": str(folder / "a.csv")}, {"times": str(folder / "b.csv")}, "a.csv"]
    assert spec.to_dict(experiment)["sweep"] == {"load.arrivals": swept}
    assert [spec.to_dict(arm.experiment)["load"]["arrivals"] for arm in plan.arms(experiment)] == swept


MISSING = {
    "a file that is not there": ("load: {kind: of_files, plain: a.cvs}\n", "3:31", "there is no ", "'a.csv'"),
    "a folder that is not there": ("load: {kind: of_files, plain: no/a.csv}\n", "3:31", "there is no folder ", None),
    "a folder for a file": ("load: {kind: of_files, plain: tree}\n", "3:31", "tree is no file", None),
    "a file for a folder": ("load: {kind: of_files, tree: a.csv}\n", "3:30", "a.csv is no folder", None),
    "one of several": ("load:\n  kind: of_files\n  several:\n  - a.csv\n  - z\n", "7:5", "load.several[1]: ", None),
    "one in a mapping": ("load: {kind: of_files, arrivals: {times: no}}\n", "3:42", "load.arrivals.times: ", None),
    "one in a load within": (
        "load: {kind: of_files, parts: [{kind: of_files, plain: no}]}\n", "3:56", "load.parts[0].plain: ", None,
    ),
    "a swept one": (
        "load: {kind: of_files}\nsweep:\n  load.plain: [a.csv, c.csv]\n", "5:23", "sweep.load.plain[1]: ", "'b.csv'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "where", "what", "near"), MISSING.values(), ids=MISSING)
def test_what_is_not_there_is_an_error_with_its_line(
    folder: Path, text: str, where: str, what: str, near: str | None
) -> None:
    error = error_of(folder, text)
    assert error.where == f"{folder / 'e.yaml'}:{where}"
    assert what in error.what
    assert near is None or near in str(error.hint)


def test_a_missing_file_of_the_command_line_is_said_with_the_option(folder: Path) -> None:
    error = error_of(folder, "load: {kind: of_files}\n", {"load.plain": "a.csv"})
    assert error.where == "--set load.plain=a.csv"
    assert str(folder.parent / "a.csv") in error.what


def test_a_value_of_a_wrong_type_is_said_beside_missing_files(folder: Path) -> None:
    text = str(error_of(folder, "load: {kind: of_files, plain: no, several: 5, tree: ''}\n"))
    for part in ("load.plain: there is no", "load.several is 5", "load.tree is ''"):
        assert part in text


def test_a_run_keeps_a_copy_and_the_hash_of_a_small_file_and_runs_again_from_its_folder_alone(folder: Path) -> None:
    experiment = load(folder, "load: {kind: of_files, plain: a.csv}\nsweep: {load.plain: [a.csv, b.csv]}\n")
    run = RunFolder.create(folder / "runs", experiment, [])
    entry = run.manifest["files"]["sweep.load.plain[1]"]
    assert entry["sha256"] == tree_sha256(folder / "b.csv")
    assert (run.path / entry["copy"]).read_text() == "b.csv"
    assert run.verify() == []
    moved = shutil.copytree(run.path, folder / "elsewhere")
    for name in ("a.csv", "b.csv"):
        (folder / name).unlink()
    again = load_for_run(str(moved / "experiment.yaml"), {}, None, None)
    swept = spec.to_dict(again)["sweep"]["load.plain"]
    assert [Path(path).read_text() for path in swept] == ["a.csv", "b.csv"]
    assert Path(swept[0]).is_relative_to(moved)
    for same in (experiment, again, RunFolder.open(moved).experiment):
        assert [arm.name for arm in plan.arms(same)] == ["of_files__plain-a.csv", "of_files__plain-b.csv"]
    copy = run.manifest["files"]["load.plain"]["copy"]
    assert parameters(RunFolder.open(moved).experiment)["plain"] == str(moved / copy)


def test_a_changed_copy_is_a_problem_of_the_run_and_an_error_before_it_is_used(folder: Path) -> None:
    run = RunFolder.create(folder / "runs", load(folder, "load: {kind: of_files, plain: a.csv}\n"), [])
    copy = run.path / run.manifest["files"]["load.plain"]["copy"]
    copy.write_text("other")
    assert [problem.path for problem in run.verify()] == [copy.relative_to(run.path).as_posix()]
    with pytest.raises(StoreError, match=r"load\.plain has changed since the run .* began"):
        load_for_run(str(run.path / "experiment.yaml"), {}, None, None)
    replaced = load_for_run(str(run.path / "experiment.yaml"), {"load.plain": str(folder / "a.csv")}, None, None)
    assert parameters(replaced)["plain"] == str(folder / "a.csv")


@pytest.mark.parametrize("change", ["other content", "gone"])
def test_a_file_too_large_for_a_copy_must_be_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(input_files, "MAX_COPY_BYTES", 3)
    run = RunFolder.create(folder / "runs", load(folder, "load: {kind: of_files, plain: a.csv, tree: tree}\n"), [])
    assert [entry["copy"] for entry in run.manifest["files"].values()] == [None, None]
    assert parameters(run.experiment) == parameters(spec.load(run.path / "experiment.yaml"))
    input_files.require_unchanged(run.path, run.manifest)
    module = folder / "tree" / "deep" / "module.ko"
    module.write_bytes(b"other") if change == "other content" else module.unlink()
    with pytest.raises(StoreError, match=r"load\.tree has changed") as caught:
        input_files.require_unchanged(run.path, run.manifest)
    assert caught.value.where == str(folder / "tree")
    assert run.manifest["files"]["load.tree"]["sha256"] in str(caught.value)


def test_other_models_are_trained_where_the_files_of_a_run_are_gone(folder: Path) -> None:
    experiment = load(folder, "load: {kind: of_files, plain: a.csv}\nsweep: {load.plain: [a.csv, b.csv]}\n")
    (folder / "a.csv").unlink()
    changed = spec.changed(experiment, {"model.predictors": "[markov]"})
    assert parameters(changed)["plain"] == str(folder / "a.csv")
    with pytest.raises(SpecError, match="there is no") as caught:
        spec.changed(experiment, {"sweep": "{load.plain: [c.csv, no.csv]}"})
    assert caught.value.where.startswith("--set sweep=")


def test_an_exported_run_says_where_it_has_paths_of_its_host(folder: Path) -> None:
    run = RunFolder.create(folder / "runs", load(folder, "load: {kind: of_files, plain: a.csv}\n"), [])
    assert {"spec", "files"} <= {*run_archive.host_paths(run)}


def test_the_hash_of_a_folder_depends_on_names_contents_and_links_alone(folder: Path) -> None:
    first = tree_sha256(folder / "tree")
    copy = shutil.copytree(folder / "tree", folder / "copy")
    assert tree_sha256(copy) == first
    (copy / "link").symlink_to("deep")
    assert tree_sha256(copy) != first
    (copy / "link").unlink()
    (copy / "deep" / "module.ko").rename(copy / "module.ko")
    assert tree_sha256(copy) != first


def test_an_experiment_without_files_leaves_no_trace_of_them(folder: Path) -> None:
    run = RunFolder.create(folder / "runs", load(folder, "load: {kind: of_files}\n"), [])
    assert "files" not in json.loads((run.path / "manifest.json").read_text())
    assert not (run.path / "files").exists()

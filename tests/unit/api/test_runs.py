"""`harness.open_runs`: several runs as a sequence, in the folder of a real campaign of 0.1.0 and copies of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from written_before import RUN, unpack

import harness
from harness.errors import StoreError, UsageError

SECOND, DAMAGED = "2026-11-30T10-00-00_smoke", "2026-11-30T11-00-00_smoke"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, and one whose manifest cannot be read."""
    unpacked = unpack(tmp_path_factory.mktemp("unpacked"))
    for name in (SECOND, DAMAGED, RUN):
        shutil.copytree(unpacked / RUN, unpacked / "runs" / name)
    (unpacked / "runs" / DAMAGED / "manifest.json").write_text("{")
    return unpacked / "runs"


def test_runs_are_in_the_order_of_their_times_and_found_by_position_and_by_the_beginning_of_a_name(
    folder: Path,
) -> None:
    runs = harness.open_runs(folder)
    assert runs.names == (RUN, SECOND)
    assert [run.name for run in runs] == [RUN, SECOND]
    assert (runs[-1].name, runs["2026-11-29"].name, runs[SECOND].name) == (SECOND, RUN, SECOND)
    assert runs[1:].names == (SECOND,)
    assert repr(runs) == f"Runs(2 runs, {RUN} to {SECOND}, 1 not readable)"


@pytest.mark.parametrize(
    ("name", "words"), [("2026", "2 runs are named '2026' or begin so"), ("nginx", "no run 'nginx'"), ("", "no run ''")]
)
def test_a_name_that_none_or_several_have_is_an_error_that_lists_names(folder: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        _ = harness.open_runs(folder)[name]
    assert RUN in str(caught.value)


def test_a_run_that_cannot_be_read_is_left_out_and_named_and_is_an_error_where_it_is_meant(folder: Path) -> None:
    (problem,) = harness.open_runs(folder).problems
    assert DAMAGED in problem
    with pytest.raises(StoreError, match=DAMAGED):
        harness.open_runs(folder / DAMAGED)


def test_one_run_and_several_folders_can_be_named(folder: Path) -> None:
    assert harness.open_runs(folder / RUN).names == (RUN,)
    assert harness.open_runs([folder / SECOND, folder / RUN]).names == (SECOND, RUN)


@pytest.mark.parametrize("folders", [3, [3], None])
def test_what_is_no_folder_is_named_by_its_type(folders: Any) -> None:
    with pytest.raises(UsageError, match="no folder, but a value of the type"):
        harness.open_runs(folders)


def test_an_empty_folder_has_no_runs_and_one_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    runs = harness.open_runs(tmp_path)
    assert (len(runs), repr(runs), len(runs.frame())) == (0, "Runs(0 runs)", 0)
    assert [*runs.frame()][:3] == ["name", "label", "state"]
    with pytest.raises(UsageError, match="no such folder"):
        harness.open_runs(tmp_path / "none")


def test_the_frame_has_a_row_for_each_run(folder: Path) -> None:
    frame = harness.open_runs(folder).frame()
    assert frame.name.tolist() == [RUN, SECOND]
    assert frame.loc[0, ["label", "state", "box", "load"]].tolist() == [None, "done", "debian-12", "nginx_ab"]
    assert frame.loc[0, ["arms", "trials", "trials_done", "models_done"]].tolist() == [1, 1, 1, 3]


def test_what_a_notebook_shows_is_escaped(folder: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(folder / RUN, tmp_path / "<img src=x>"))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["spec"]["question"] = "<script>alert(1)</script>\x1b[2J"
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "label.txt").write_text("<b>baseline</b>")
    for shown in (harness.open_runs(tmp_path), harness.open_run(run)):
        text = shown._repr_html_()
        assert text.startswith("<table>")
        assert [word for word in ("<script", "<img", "<b>", "\x1b", "http") if word in text] == []


def test_what_a_notebook_shows_of_a_trial_is_its_verdict_and_what_its_load_measured(folder: Path) -> None:
    (trial,) = harness.open_run(folder / RUN).trials
    text = trial._repr_html_()
    for words in ("trials/000_nginx_ab", "usable", "6,522", "requests_per_s", "701.4"):
        assert words in text
    assert trial.block == 0


def test_a_damaged_trial_is_shown_as_what_is_wrong_with_it(folder: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(folder / RUN, tmp_path / RUN))
    (trial,) = harness.open_run(run).trials
    (trial.path / "trial.json").write_text("{}")
    assert "is not the file that the run wrote" in trial._repr_html_()


def test_a_query_reads_the_tables_of_all_runs_and_names_what_it_left_out(folder: Path) -> None:
    runs = harness.open_runs(folder)
    answer = runs.query("SELECT run, count(*) AS slices, sum(slice_ns) AS ns FROM slices GROUP BY run ORDER BY run")
    slices = runs[0].trials[0].frame("slices")
    assert answer.run.tolist() == [RUN, SECOND]
    assert answer.slices.tolist() == [len(slices)] * 2
    assert answer.ns.tolist() == [slices.slice_ns.sum()] * 2
    assert answer.ns.dtype == "int64"
    assert any(DAMAGED in problem for problem in answer.attrs["problems"])
    assert runs[0].query("SELECT DISTINCT run FROM trials").run.tolist() == [RUN]


def test_a_wrong_query_is_an_error_of_harness(folder: Path) -> None:
    with pytest.raises(harness.HarnessError, match="no text, but a value of the type NoneType"):
        harness.open_run(folder / RUN).query(None)  # type: ignore[arg-type]
    with pytest.raises(harness.HarnessError, match="slice"):
        harness.open_run(folder / RUN).query("SELECT * FROM slicez")


def test_numbers_of_an_answer_are_numbers_and_columns_of_one_name_are_numbered(folder: Path) -> None:
    answer = harness.open_run(folder / RUN).query(
        "SELECT 1 AS a, 2 AS a, 1.5 AS half, sum(slice_ns) AS ns, sum(slice_ns::HUGEINT * 1000000000000) AS huge "
        "FROM slices"
    )
    assert answer.loc[0, ["a", "a_1", "half"]].tolist() == [1, 2, 1.5]
    assert (answer.half.dtype, answer.ns.dtype) == ("float64", "int64")
    assert int(answer.huge[0]) == answer.ns[0].item() * 10**12


def test_runs_are_chosen_by_a_condition_and_found_by_a_label(folder: Path, tmp_path: Path) -> None:
    runs = Path(shutil.copytree(folder, tmp_path / "runs"))
    (runs / SECOND / "label.txt").write_text("baseline\n")
    assert harness.open_runs(runs)["baseline"].name == SECOND
    chosen = harness.open_runs(runs, where="label = 'baseline' AND box = 'debian-12'")
    assert chosen.names == (SECOND,)
    assert harness.open_runs(runs, where="models > 3").names == ()
    with pytest.raises(harness.HarnessError, match="boxx"):
        harness.open_runs(runs, where="boxx = 'debian-12'")

"""The runs for which a condition holds, and the order of runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import table_runs
from command_line import harness

from harness import open_runs
from harness.errors import UsageError
from harness.query.selection import matching
from harness.query.statement import QueryError
from harness.report import run_rows
from harness.store import RunFolder, label, readable, resolve


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    table_runs.make(runs / "passed", {"redis": 1})
    table_runs.make(runs / "failed", {"redis": 2}, unusable=("001_redis",))
    table_runs.make(runs / "begun", {"redis": 1})
    table_runs.change_manifest(runs / "begun", trials_planned=4)
    label.write(runs / "passed", "base'line")
    return runs


def names(folders: list[RunFolder]) -> list[str]:
    return [folder.path.name for folder in folders]


@pytest.mark.parametrize(
    ("condition", "chosen"),
    [
        ("verdict = 'passed'", ["passed"]),
        ("verdict = 'failed'", ["failed"]),
        ("verdict = 'none'", ["begun"]),
        ("box = 'ubuntu-18.04' AND verdict <> 'passed'", ["begun", "failed"]),
        ("label = 'base''line'", ["passed"]),
        ("name = 'begun' -- a comment", ["begun"]),
        ("run LIKE '%ed' AND trials > 1", ["failed"]),
        ("run = (SELECT max(run) FROM runs)", ["passed"]),
        ("false", []),
    ],
)
def test_the_runs_for_which_a_condition_holds_are_chosen(condition: str, chosen: list[str], runs: Path) -> None:
    assert names(matching(readable(runs)[0], condition)[0]) == chosen


@pytest.mark.parametrize(
    "condition",
    [
        "verdikt = 1",
        "true) (",
        "1=1) OR (1=1",
        "true GROUP BY run",
        "",
        " ",
        "name = 'a'; SELECT 1",
        "run IN (FROM '/etc/passwd')",
    ],
)
def test_a_wrong_condition_is_named(condition: str, runs: Path) -> None:
    with pytest.raises(QueryError) as error:
        matching(readable(runs)[0], condition)
    assert error.value.where == condition


def test_the_place_of_an_error_is_one_in_the_condition(runs: Path) -> None:
    with pytest.raises(QueryError, match=r"(?s)verdict.*LINE 1: verdikt = 'passed'"):
        matching(readable(runs)[0], "verdikt = 'passed'")


def test_rows_are_sorted_by_a_column_and_those_without_a_value_come_last(runs: Path) -> None:
    rows = [run_rows.run_row(folder) for folder in readable(runs)[0]]

    def order(by: str) -> list[str]:
        return [row["name"] for row in run_rows.in_order(rows, by)]

    assert order("run") == ["begun", "failed", "passed"]
    assert order("name:desc") == ["passed", "failed", "begun"]
    assert order("label")[0] == "passed"
    assert order("label:desc")[0] == "passed"
    assert order("trials:desc") == ["begun", "failed", "passed"]
    with pytest.raises(UsageError, match="there is no column 'secnods'") as error:
        order("secnods")
    assert error.value.hint == "did you mean seconds?"
    with pytest.raises(UsageError, match="no order"):
        order("seconds:down")


def test_a_run_is_found_by_its_label_unless_a_name_begins_so_or_two_have_it(runs: Path, tmp_path: Path) -> None:
    assert resolve(runs, "base'line") == runs / "passed"
    with pytest.raises(UsageError, match="there is no run 'base'"):
        resolve(runs, "base")
    for name in ("one", "two"):
        table_runs.make(tmp_path / name, {"redis": 1})
        label.write(tmp_path / name, "pair")
    with pytest.raises(UsageError, match="'pair' is the label of 2 runs"):
        resolve(tmp_path, "pair")
    label.write(tmp_path / "one", "two")
    assert resolve(tmp_path, "two") == tmp_path / "two"


def test_a_condition_names_the_damaged_files_that_it_was_answered_without(tmp_path: Path) -> None:
    table_runs.make(tmp_path / "sound", {"redis": 1})
    table_runs.make(tmp_path / "damaged", {"redis": 1})
    with (tmp_path / "damaged" / "trials" / "000_redis" / "slices.parquet").open("ab") as file:
        file.write(b"x")
    chosen, problems = matching(readable(tmp_path)[0], "run IN (SELECT run FROM slices)")
    assert names(chosen) == ["sound"]
    assert len(problems) == 1
    assert "damaged: trials/000_redis/slices.parquet: changed" in problems[0]
    assert matching(readable(tmp_path)[0], "true")[1] == []
    assert any(
        "slices.parquet" in said for said in open_runs(tmp_path, where="run IN (FROM slices SELECT run)").problems
    )
    said = harness("ls", "--runs", tmp_path, "--where", "run IN (SELECT run FROM slices)", code=1)
    assert "warning: damaged: trials/000_redis/slices.parquet" in said.stderr
    assert "sound" in said.stdout

"""The tables of runs as one database: what they hold, and what is left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import table_runs
from table_runs import ROWS

from harness.errors import StoreError, UsageError
from harness.query import RunDatabase
from harness.query.schema import TABLES

ARMS = {"nginx_ab__concurrency-2": 2, "nginx_ab__concurrency-8": 2}


def rows(runs: Path, sql: str, *names: str, problems: list[str] | None = None, **options: Any) -> list[dict[str, Any]]:
    """Return the answer to a query; `problems` takes what was left out."""
    with RunDatabase.open(runs, names, **options) as database:
        answer: list[dict[str, Any]] = database.query(sql).table().to_pylist()
        if problems is None:
            assert database.problems == []
        else:
            problems += database.problems
        return answer


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    table_runs.make(tmp_path / "first", ARMS)
    return tmp_path


def test_every_event_has_its_run_trial_and_arm(runs: Path) -> None:
    table_runs.make(runs / "second", {"redis": 1})
    found = rows(runs, "SELECT run, trial, arm, count(*) n FROM slices GROUP BY ALL ORDER BY ALL")
    trials = [("first", f"00{n}_{arm}", arm) for n, arm in enumerate([*ARMS, *ARMS])] + [
        ("second", "000_redis", "redis")
    ]
    assert [tuple(row.values()) for row in found] == sorted((*trial, ROWS) for trial in trials)


def test_the_columns_are_those_of_the_schema(runs: Path) -> None:
    with RunDatabase.open(runs) as database:
        for name, table in TABLES.items():
            described = database.query(f"DESCRIBE {name}").table().to_pylist()
            assert [(row["column_name"], row["column_type"]) for row in described] == [
                (column.name, column.type) for column in table.columns
            ]


def test_a_trial_that_may_not_be_used_is_a_row_of_trials_and_has_no_events(runs: Path) -> None:
    table_runs.make(runs / "second", {"redis": 2}, unusable=("001_redis",))
    assert rows(runs, "SELECT trial, usable, failed FROM trials WHERE run = 'second' ORDER BY 1") == [
        {"trial": "000_redis", "usable": True, "failed": None},
        {"trial": "001_redis", "usable": False, "failed": "idle share"},
    ]
    assert rows(runs, "SELECT DISTINCT trial FROM slices WHERE run = 'second'") == [{"trial": "000_redis"}]


def test_only_the_runs_that_are_named_are_read(runs: Path) -> None:
    table_runs.make(runs / "second", {"redis": 1})
    assert rows(runs, "SELECT run FROM runs", "sec") == [{"run": "second"}]
    with pytest.raises(UsageError, match="there is no run"):
        rows(runs, "SELECT 1", "third")


def test_a_table_that_is_not_as_the_run_wrote_it_is_named_and_left_out(runs: Path) -> None:
    changed = sorted((runs / "first" / "trials").iterdir())[0] / "slices.parquet"
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    problems: list[str] = []
    assert rows(runs, "SELECT count(*) n FROM slices", problems=problems) == [{"n": 3 * ROWS}]
    (problem,) = problems
    assert problem.startswith(f"first: trials/{changed.parent.name}/slices.parquet: changed (SHA-256 is ")
    assert problem.endswith("its rows are left out")


def test_a_link_out_of_the_run_is_not_followed(runs: Path, tmp_path: Path) -> None:
    linked = sorted((runs / "first" / "trials").iterdir())[0] / "slices.parquet"
    linked.rename(tmp_path / "elsewhere.parquet")
    linked.symlink_to(tmp_path / "elsewhere.parquet")
    problems: list[str] = []
    assert rows(runs, "SELECT count(*) n FROM slices", problems=problems) == [{"n": 3 * ROWS}]
    assert "a link to a file outside of the run" in problems[0]


def test_a_file_that_the_manifest_does_not_list_is_not_read(runs: Path) -> None:
    source = sorted((runs / "first" / "trials").iterdir())[0]
    os.link(source / "slices.parquet", source / "switches.parquet")
    extra = runs / "first" / "trials" / "009_extra"
    extra.mkdir()
    os.link(source / "slices.parquet", extra / "slices.parquet")
    assert rows(runs, "SELECT count(*) n FROM slices") == [{"n": 4 * ROWS}]
    assert rows(runs, "SELECT count(*) n FROM switches") == [{"n": 0}]


def test_a_run_that_cannot_be_read_is_named_and_left_out_and_an_error_if_it_was_asked_for(runs: Path) -> None:
    table_runs.make(runs / "second", {"redis": 1})
    (runs / "second" / "manifest.json").write_text("{")
    problems: list[str] = []
    assert rows(runs, "SELECT run FROM runs", problems=problems) == [{"run": "first"}]
    assert "second" in problems[0]
    assert "this run is left out" in problems[0]
    with pytest.raises(StoreError, match="damaged"):
        rows(runs, "SELECT run FROM runs", "second")


def test_an_edited_manifest_is_named(runs: Path) -> None:
    table_runs.change_manifest(runs / "first", sha256="ab" * 32)
    problems: list[str] = []
    rows(runs, "SELECT 1", problems=problems)
    assert problems == ["first: its manifest was changed by another program"]

"""A query reads the tables of the runs, and nothing else; names in them are only text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import table_runs
from table_runs import ROWS

from harness.errors import UsageError
from harness.query import RunDatabase
from harness.query.statement import QueryError, Statement

HOSTILE = "a'; DROP TABLE runs; --\n\x1b[31m\"`$(touch /tmp/x)`‮*?[x]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    table_runs.make(runs / "first", {"redis": 2})
    return runs


@pytest.fixture(scope="module")
def database(runs: Path) -> Iterator[RunDatabase]:
    with RunDatabase.open(runs) as database:
        yield database


def table_of(runs: Path) -> Path:
    return next(iter(sorted(runs.glob("*/trials/*/slices.parquet"))))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('{table}')",
        "SELECT * FROM read_parquet('{table}')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM '{table}' JOIN '/etc/passwd.csv' ON true",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('slices')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "SELECT (SELECT count(*) FROM read_csv('/etc/passwd'))",
        "WITH x AS (SELECT * FROM read_text('/etc/passwd')) FROM x",
        "SELECT getenv('HOME')",
        "COPY (SELECT 1) TO '{out}'",
        "COPY slices TO '{out}'",
        "WITH x AS (COPY (SELECT 1) TO '{out}') FROM x",
        "WITH x AS (COPY (SELECT 1) TO '{table}' (USE_TMP_FILE false)) FROM x",
        "SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{table}' (USE_TMP_FILE false)) FROM x)",
        "WITH x AS (DELETE FROM files.slices RETURNING *) FROM x",
        "WITH x AS (INSERT INTO files.slices VALUES ('a', 'b', 'c', 'd') RETURNING *) FROM x",
        "ATTACH '{out}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CREATE TABLE t AS SELECT 1",
        "CREATE MACRO f() AS TABLE SELECT 1",
        "DROP VIEW slices",
        "EXPORT DATABASE '{out}'",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO '{out}'",
        "",
        ";",
        "-- nothing",
        "hello",
        "SELECT $1",
    ],
)
def test_it_is_refused_and_nothing_is_written(text: str, runs: Path, database: RunDatabase, tmp_path: Path) -> None:
    table, out = table_of(runs), tmp_path / "out"
    before = table.read_bytes()
    with pytest.raises(UsageError):
        database.query(text.format(table=table, out=out)).table()
    assert table.read_bytes() == before
    assert not out.exists()


def test_duckdb_itself_refuses_what_is_not_a_table_of_a_run(
    runs: Path, database: RunDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = Statement.parse
    monkeypatch.setattr(Statement, "parse", lambda text: parse("FROM slices"))
    for text in ("FROM read_csv('/etc/passwd')", f"FROM glob('{runs}/*')", f"FROM '{runs}/first/manifest.json'"):
        with pytest.raises(QueryError, match=r"disabled by configuration|does not exist"):
            database.query(text)
    with pytest.raises(QueryError, match="has been locked"):
        database.query("SET threads = 1")


@pytest.mark.parametrize(
    "text",
    [
        "FROM slices LIMIT 1",
        "TABLE slices LIMIT 1",
        "VALUES (1)",
        "SELECT 1;",
        "WITH slices AS (SELECT 1) FROM slices",
        "WITH RECURSIVE n AS (SELECT 1 x UNION ALL SELECT x + 1 FROM n WHERE x < 5) FROM n",
        "(SELECT run FROM trials) UNION (SELECT run FROM runs)",
        "FROM (PIVOT slices ON cpu IN (0, 1) USING count(*) GROUP BY arm)",
        "SELECT unnest(runnable) FROM Slices LIMIT 1",
        "FROM range(3)",
        "SHOW TABLES",
        "DESCRIBE slices",
        "SUMMARIZE arms",
        "SELECT s.run FROM slices s ASOF JOIN wakeups w ON s.run = w.run AND s.start_ns >= w.time_ns",
    ],
)
def test_every_kind_of_select_is_answered(text: str, database: RunDatabase) -> None:
    database.query(text).table()


def test_names_of_runs_folders_tasks_and_arms_are_text(tmp_path: Path) -> None:
    runs = tmp_path / "host's *runs* [1] x=1 \x1b[31m"
    hostile = HOSTILE.replace("/", "|")
    table_runs.make(runs / hostile, {"nginx_ab": 1}, names={"nginx": HOSTILE})
    os.rename(runs / hostile, runs / f"{hostile}\udcff")  # a byte that is no UTF-8
    with RunDatabase.open(runs) as database:
        (row,) = database.query("SELECT run, count(*) n FROM slices GROUP BY run").table().to_pylist()
        assert row == {"run": f"{hostile}\\xff", "n": ROWS}
        comms = database.query("SELECT DISTINCT comm FROM slices").table()["comm"].to_pylist()
        assert HOSTILE in comms
        assert database.query("SELECT run FROM runs").table()["run"].to_pylist() == [row["run"]]
        assert database.problems == []


def test_an_arm_that_is_sql_is_only_a_name(tmp_path: Path) -> None:
    table_runs.make(tmp_path / "first", {"x' OR 1=1 --": 1})
    with RunDatabase.open(tmp_path) as database:
        (row,) = database.query("SELECT DISTINCT arm FROM slices").table().to_pylist()
    assert row["arm"] == "x' OR 1=1 --"


def test_an_error_marks_the_place_and_names_what_is_near(database: RunDatabase) -> None:
    with pytest.raises(QueryError) as table:
        database.query("SELECT *\nFROM slice")
    assert table.value.exit_code == 2
    lines = str(table.value).splitlines()
    assert lines[0] == "Catalog Error: Table with name slice does not exist!"
    assert lines[1] == '  Did you mean "slices"?'
    assert lines[2].strip() == "LINE 2: FROM slice"
    assert lines[3].rstrip("^") == " " * lines[2].index("slice")
    assert lines[3].endswith("^")  # one of them before DuckDB 2.0
    with pytest.raises(QueryError, match='Candidate bindings: "slice_ns"'):
        database.query("SELECT avg(slice) FROM slices")
    with pytest.raises(QueryError, match="syntax error"):
        database.query("SELECT FROM WHERE")

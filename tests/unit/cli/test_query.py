"""`harness query`: an answer in every format, to stdout or a file, and what it says when it cannot give one."""

from __future__ import annotations

import builtins
import csv
import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import queried_runs
import table_runs
from command_line import HARNESS, harness, notes
from pyarrow import parquet
from table_runs import ROWS
from terminal import on_a_terminal

COUNT = "SELECT arm, count(*) AS events FROM slices GROUP BY arm ORDER BY arm"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    table_runs.make(runs / "first", {"nginx_ab": 2, "redis": 1}, names={"nginx": "\x1b[31mnginx\n"})
    return runs


def query(runs: Path, *arguments: str | Path, code: int = 0) -> Any:
    return harness("query", *arguments, "--runs", runs, code=code)


def test_a_table_is_shown_as_other_tables_are(runs: Path) -> None:
    text = "SELECT arm, count(*) n, 1/3 AS third, NULL AS nothing, [1, 2] AS list FROM slices GROUP BY arm ORDER BY arm"
    head, *rows = query(runs, text).stdout.splitlines()
    assert head.split() == ["arm", "n", "third", "nothing", "list"]
    assert [row.split() for row in rows] == [
        ["nginx_ab", str(2 * ROWS), "0.333333", "[1,", "2]"],
        ["redis", str(ROWS), "0.333333", "[1,", "2]"],
    ]


def test_a_table_ends_after_its_limit_and_says_so(runs: Path) -> None:
    *rows, last = query(runs, "FROM range(2000)").stdout.splitlines()
    assert (len(rows), last) == (1001, "the first 1,000 rows; --limit N shows more, --format csv all")
    assert query(runs, "FROM range(2000)", "--limit", "2").stdout.splitlines()[1:3] == ["    0", "    1"]
    assert query(runs, "FROM range(0)").stdout.splitlines()[-1] == "no rows"


def test_csv_json_and_parquet_hold_the_same(runs: Path, tmp_path: Path) -> None:
    expected = [{"arm": "nginx_ab", "events": 2 * ROWS}, {"arm": "redis", "events": ROWS}]
    rows = list(csv.DictReader(io.StringIO(query(runs, COUNT, "--format", "csv").stdout)))
    assert [{**row, "events": int(row["events"])} for row in rows] == expected
    document = json.loads(query(runs, COUNT, "--json").stdout)
    assert document == {"columns": {"arm": "string", "events": "int64"}, "rows": expected, "problems": []}
    assert "2 rows" in query(runs, COUNT, "-o", tmp_path / "a.parquet").stdout
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == expected
    query(runs, COUNT, "--format", "csv", "--output", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text().splitlines()[0] == '"arm","events"'


def test_every_type_has_a_form_in_every_format(runs: Path, tmp_path: Path) -> None:
    text = """SELECT DATE '2026-11-30' d, TIMESTAMP '2026-11-30 12:00:00' t, 1.50::DECIMAL(9, 2) m, sum(tid) s, 'é' u,
        map {'a': 1} k, {'x': [1, NULL]} n, 'a'::BLOB b, 'nan'::DOUBLE f, true o, INTERVAL 1 HOUR i FROM slices"""
    (row,) = json.loads(query(runs, text, "--json").stdout)["rows"]
    assert isinstance(row.pop("s"), int)
    assert row == {
        **{"d": "2026-11-30", "t": "2026-11-30T12:00:00", "m": 1.5, "u": "é", "k": {"a": 1}, "n": {"x": [1, None]}},
        **{"b": "a", "f": None, "o": True, "i": row["i"]},
    }
    (values,) = csv.DictReader(io.StringIO(query(runs, text, "--format", "csv").stdout))
    assert (values["k"], values["n"], values["b"], values["o"]) == ('{"a": 1}', '{"x": [1, null]}', "a", "true")
    query(runs, text)
    query(runs, text.replace(", INTERVAL 1 HOUR i", ""), "-o", tmp_path / "a.parquet")


def test_a_name_that_commands_a_terminal_is_spelt_on_one_and_kept_in_a_file(runs: Path) -> None:
    text = "SELECT DISTINCT comm FROM slices WHERE comm LIKE '%nginx%'"
    assert "\\x1b[31mnginx\\x0a" in query(runs, text).stdout
    assert "\x1b[31mnginx\n" in query(runs, text, "--format", "csv").stdout
    shown = on_a_terminal([*HARNESS[1:], "query", text, "--runs", str(runs), "--format", "csv"])
    assert "\\x1b[31mnginx\\x0a" in shown
    assert "\x1b[31mnginx" not in shown


def test_csv_has_what_a_spreadsheet_takes_for_a_formula_as_it_is(runs: Path) -> None:
    text = "SELECT '=cmd' AS task, '@a' AS arm FROM trials LIMIT 1"
    assert query(runs, text, "--format", "csv").stdout.splitlines() == ['"task","arm"', '"=cmd","@a"']


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["FROM slice"], 'Did you mean "slices"?'),
        (["SELECT 1; SELECT 2"], "these are 2 statements"),
        (["COPY slices TO 'x'"], "COPY is no question"),
        (["SELECT 1 a, 2 a", "--json"], "two columns of the answer are called a"),
        ([], "there is no query"),
        (["SELECT 1", "--format", "xml"], "--format xml"),
        (["SELECT 1", "--output", "x.txt"], "--format txt for x.txt"),
        (["SELECT 1", "--output", "x"], "--format is missing for x"),
        (["SELECT 1", "nothing_so"], "there is no run 'nothing_so'"),
        (["SELECT error('stop')"], "stop"),
        (["SELECT 'a'::INTEGER"], "Conversion Error"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], what: str, runs: Path) -> None:
    result = query(runs, *arguments, code=2)
    assert what in (result.stdout if "--json" in arguments else result.stderr)


def test_a_file_in_a_run_is_not_written(runs: Path) -> None:
    table = next(runs.glob("first/trials/*/slices.parquet"))
    before = table.read_bytes()
    assert "would lie in a run" in query(runs, COUNT, "-o", table, code=2).stderr
    assert table.read_bytes() == before


def test_an_answer_that_fails_midway_leaves_the_earlier_file(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("earlier")
    text = "SELECT CASE WHEN range < 100000 THEN range ELSE error('late') END FROM range(200000)"
    query(runs, text, "-o", tmp_path / "a.csv", code=2)
    assert (tmp_path / "a.csv").read_text() == "earlier"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_what_was_left_out_is_a_warning_and_exit_code_1_but_an_unreadable_run_is_only_a_warning(tmp_path: Path) -> None:
    table_runs.make(tmp_path / "first", {"redis": 2})
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "manifest.json").write_text("{}")
    result = query(tmp_path, COUNT)
    assert "second/manifest.json: the manifest has schema_version null: this run is left out" in notes(result)
    next(tmp_path.glob("first/trials/*/slices.parquet")).unlink()
    result = query(tmp_path, COUNT, code=1)
    assert "slices.parquet: missing (written by step" in notes(result)
    assert str(ROWS) in result.stdout


def test_a_damaged_table_that_is_not_compared_with_its_hash_is_named(tmp_path: Path) -> None:
    table_runs.make(tmp_path / "first", {"redis": 2})
    damaged = sorted(tmp_path.glob("first/trials/*/slices.parquet"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-4] + b"none")
    result = query(tmp_path, COUNT, "--unchecked", code=1)
    assert f"{damaged}: slices.parquet cannot be read: " in result.stderr.replace("\n", " ")


def test_without_duckdb_it_says_how_to_get_it(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    result = query(runs, COUNT, code=3)
    assert "duckdb is not installed: it comes with the extra query" in result.stderr
    harness("ls", "--runs", runs)
    harness("ls", "--runs", runs, "--where", "true", code=3)


def test_the_tables_are_listed_without_a_run(tmp_path: Path) -> None:
    lines = query(tmp_path, "--schema").stdout.splitlines()
    assert "slices  a slice: one stay of a task on a CPU" in lines
    assert "there are no runs yet" in query(tmp_path, "SELECT 1", code=2).stderr


def test_the_query_is_read_from_stdin(runs: Path) -> None:
    command = [*HARNESS, "query", "-", "--runs", str(runs), "--format", "csv"]
    result = subprocess.run(command, input=COUNT, capture_output=True, text=True, timeout=100)
    assert result.stdout.splitlines()[1] == f'"nginx_ab",{2 * ROWS}'


def test_a_parquet_file_is_not_printed_on_a_terminal(runs: Path) -> None:
    shown = on_a_terminal([*HARNESS[1:], "query", COUNT, "--runs", str(runs), "--format", "parquet"])
    assert "Parquet on a terminal" in shown


def test_ctrl_c_interrupts_a_query_at_once(runs: Path) -> None:
    text = "SELECT max(md5(a.range::VARCHAR)) FROM range(100000000) a, range(100000) b"
    process = subprocess.Popen([*HARNESS, "query", text, "--runs", str(runs)], stderr=subprocess.PIPE, text=True)
    busy = Path(f"/proc/{process.pid}/stat")
    while int(busy.read_text().rpartition(")")[2].split()[11]) < 150:  # ticks of 10 ms: it has started, and computes
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, time.monotonic() - began < 5) == (130, True), errors


def test_runs_are_listed_by_a_condition_and_in_an_order(tmp_path: Path) -> None:
    for name, trials in (("first", 3), ("second", 1), ("third", 2)):
        table_runs.make(tmp_path / name, {"redis": trials})
    harness("label", "third", "base", "--runs", tmp_path)

    def listed(*arguments: str) -> list[str]:
        return [
            row["name"] for row in json.loads(harness("ls", "--runs", tmp_path, "--json", *arguments).stdout)["runs"]
        ]

    assert listed("--sort", "trials") == ["second", "third", "first"]
    assert listed("--where", "trials > 1", "--sort", "trials:desc") == ["first", "third"]
    assert listed("--where", "label = 'base' AND verdict = 'passed'") == ["third"]
    assert listed("--where", "false") == []
    assert "no run in" in harness("ls", "--runs", tmp_path, "--where", "false").stdout
    assert "Candidate bindings" in harness("ls", "--runs", tmp_path, "--where", "lable = 'base'", code=2).stderr
    assert "did you mean trials?" in harness("ls", "--runs", tmp_path, "--sort", "trial", code=2).stderr


@pytest.mark.slow
def test_tables_that_were_cleaned_are_made_again_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = queried_runs.record(tmp_path)
    before = query(tmp_path, COUNT, "--format", "csv").stdout
    harness("clean", run, "--yes")
    assert not list(run.glob("trials/*/slices.parquet"))
    one = run / "trials" / "001_pgbench"
    os.rename(one / "perf.data.zst", one / "lost")
    result = query(tmp_path, COUNT, "--format", "csv", code=1)
    assert "perf.data.zst is not the file that the run wrote (missing" in notes(result)
    assert [line.partition(",")[0] for line in result.stdout.splitlines()] == ['"arm"', '"nginx_ab"', '"redis"']
    os.rename(one / "lost", one / "perf.data.zst")
    result = query(tmp_path, COUNT, "--format", "csv")
    assert result.stdout == before
    assert len(list(run.glob("trials/*/slices.parquet"))) == 3


def test_a_folder_of_runs_that_is_not_there_is_said_to_be_none(tmp_path: Path) -> None:
    assert "there is no such folder" in query(tmp_path / "nowhere", "SELECT 1", code=2).stderr

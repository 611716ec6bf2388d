"""`harness query`: SQL over the tables of runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from harness.cli import completion
from harness.cli.first_line import no_first_line
from harness.cli.output import JsonFlag, Output, QuietFlag, handled, note
from harness.cli.run import RunsDir
from harness.counted import counted
from harness.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from harness.query import QueryResult, RunDatabase

FORMATS = ("table", "csv", "json", "parquet")
ROWS = 1000  # of a table, unless --limit is given

Sql = Annotated[str | None, typer.Argument(help="One SELECT, in quotes; `-` reads it from stdin.", show_default=False)]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Runs, beginnings of their names, or their labels; default: all in --runs.",
        autocompletion=completion.runs,
        show_default=False,
    ),
]


@handled
def query(
    sql: Sql = None,
    runs: Runs = None,
    runs_dir: RunsDir = Path("runs"),
    form: Annotated[
        str | None,
        typer.Option("--format", help="table, csv, json or parquet; default: by the ending of --output, else table."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, not to stdout.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help=f"The most rows; default: {ROWS} of a table, else all.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="List the tables and their columns, and do no more.")
    ] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Read tables without comparing them with their SHA-256: quicker.")
    ] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Answer a question in SQL over the tables of all runs, or of those that are named.

    harness query "SELECT arm, median(slice_ns) FROM slices WHERE tid <> 0 GROUP BY arm"

    The tables are runs, arms, trials, metrics, load_results, scores, trial_scores, facts, costs, and those of the
    recordings: switches, slices, wakeups, runtimes, with run, trial and arm in every row. --schema lists their
    columns; docs/query.md has ten worked questions.

    The tables of recordings hold usable trials only, whose files are read where they lie. A query reads nothing else,
    and writes nothing. Needs the extra `query`. --json is --format json.

    Exits with 1 if a file was left out because it is not as its run wrote it.
    """
    output = Output(as_json, quiet)
    if schema:
        return _show_schema(output)
    if sql is None:
        raise UsageError("there is no query", expected='harness query "SELECT ..."', hint="harness query --schema")
    form = _format(form, file, as_json)
    from harness.query import RunDatabase

    text = sys.stdin.read() if sql == "-" else sql
    with RunDatabase.open(runs_dir, runs or (), checked=not unchecked, view=output.view()) as database:
        _require_outside(file, database)
        before = len(database.problems)
        rows = _answer(database, text, form, file, limit, output)
        if file:
            output.show(f"{file}: {counted(rows, 'row')}")
        for problem in database.problems:
            note(f"warning: {problem}")
        if len(database.problems) > before:
            raise typer.Exit(EXIT_FAILED)


def _answer(database: RunDatabase, text: str, form: str, file: Path | None, limit: int | None, output: Output) -> int:
    """Answer a query in one format; return the number of rows."""
    result = database.query(text)
    if form == "table" and file is None:
        return _show_table(result, ROWS if limit is None else limit, output)
    from harness.query import writers

    with _sink(file) as sink:
        if form == "csv":
            return writers.write_csv(result, sink, limit, escaped=file is None and sys.stdout.isatty())
        if form == "json":
            return writers.write_json(result, sink, limit, problems=lambda: database.problems)
        return writers.write_parquet(result, sink, limit)


def _show_table(result: QueryResult, limit: int, output: Output) -> int:
    import pyarrow as pa

    from harness.query.writers import first_rows
    from harness.terminal.query_tables import answer_table

    table = pa.Table.from_batches(list(first_rows(result.batches(), limit + 1)), result.schema)
    output.show(*answer_table(table.slice(0, limit), more=table.num_rows > limit))
    return min(limit, table.num_rows)


def _show_schema(output: Output) -> None:
    from dataclasses import asdict

    from harness.query.schema import TABLES
    from harness.terminal.query_tables import schema_tables

    output.data({"tables": {name: asdict(table) for name, table in TABLES.items()}})
    output.show(*schema_tables(TABLES, list(TABLES)))


def _format(given: str | None, file: Path | None, as_json: bool) -> str:
    """Return the format of the answer. Raises UsageError for an unknown one, and for one that cannot be shown."""
    ending = file.suffix.removeprefix(".").lower() if file else ""
    form = given or ("json" if as_json else ending if file else "table")
    if form not in FORMATS or (file and form == "table"):
        of_file = f"for {file}" if file else ""
        expected = "csv, json or parquet" if file else ", ".join(FORMATS)
        raise UsageError(f"--format {form or 'is missing'} {of_file}".rstrip(), expected=expected)
    if as_json and form != "json":
        raise UsageError(f"--json and --format {form}", expected="one of the two")
    if form == "parquet" and file is None and sys.stdout.isatty():
        raise UsageError("Parquet on a terminal", expected="a file", hint="--output FILE.parquet, or a pipe")
    return form


def _require_outside(file: Path | None, database: RunDatabase) -> None:
    """Raise UsageError for a file in the folder of a run, which would change what was recorded."""
    if file and any(file.resolve().is_relative_to(folder.resolve()) for folder in database.folders):
        raise UsageError("this file would lie in a run", where=str(file), expected="a FILE outside of the runs")


@contextmanager
def _sink(file: Path | None) -> Iterator[BinaryIO]:
    """Open the file to write, which appears when it is whole, or stdout."""
    from harness.files import atomic_file

    if file is not None:
        with atomic_file(file) as sink:
            yield sink
        return
    no_first_line()
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()

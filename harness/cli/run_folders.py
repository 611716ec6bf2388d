"""`harness ls`, `show`, `report`, `verify` and `down`: finished runs, and the machines they left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, QuietFlag, handled, note
from harness.cli.run import RunsDir
from harness.errors import EXIT_FAILED, HarnessError, MachineError, UsageError

RunName = Annotated[
    str | None,
    typer.Argument(
        help="The folder of a run, the beginning of its name, or its label; default: the latest.",
        autocompletion=completion.runs,
    ),
]


@handled
def ls(
    ctx: typer.Context,
    runs_dir: RunsDir = Path("runs"),
    where: Annotated[
        str | None,
        typer.Option(
            help="List those for which this holds: SQL over the columns of `harness ls --json`, such as "
            "\"box = 'debian-12' AND verdict = 'passed'\"; needs the extra `query`.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(help="Sort by one of these columns; COLUMN:desc from the largest down.", show_default=False),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the runs: state, usable trials, models, the best predictor, largest host share, time taken, size, label.

    The best predictor is the one that the report opens with, with its accuracy at contested switches. Box, clock and
    host stand below the table where all runs have the same. A line below it says where a run under way is.

    The columns of --where and --sort: name, label, experiment, state, verdict (passed: every planned trial is usable;
    failed: one is not; else none), created, edited, trials, trials_done, models, models_done, box, clock, host,
    host_share, seconds, bytes, load, version.

    Exits with 1 if there are runs and none can be read, or if --where asks a damaged file, which is left out.
    """
    from harness import store
    from harness.report import run_rows
    from harness.terminal import run_table, tables

    _require_named(ctx, runs_dir)
    folders, damaged = store.readable(runs_dir)
    unreadable = bool(damaged) and not folders
    problems: list[str] = []
    output, empty = Output(as_json), f"no runs in {runs_dir}; start one: harness run experiments/nginx_ab.yaml"
    if where is not None and folders:
        from harness.query.selection import matching

        (folders, problems), empty = matching(folders, where), f"no run in {runs_dir} for which {where}"
    rows = [run_rows.run_row(folder) for folder in folders]
    rows = run_rows.in_order(rows, sort) if sort else rows
    output.data({"runs": rows, "damaged": [str(error) for error in damaged]})
    output.show(*([] if unreadable else run_table.runs_table(rows, empty)), *map(tables.damaged_line, damaged))
    for problem in problems:
        note(f"warning: {problem}")
    if unreadable or problems:
        raise typer.Exit(EXIT_FAILED)


def _require_named(ctx: typer.Context, runs_dir: Path) -> None:
    """Raise UsageError for --runs of a folder that is not there; without it, there are only no runs yet."""
    source = ctx.get_parameter_source("runs_dir")
    if not source or source.name != "COMMANDLINE":
        return
    try:
        runs_dir.stat()
    except FileNotFoundError:
        what, expected = "there is no such folder", "a folder of runs"
        raise UsageError(what, where=f"--runs {runs_dir}", expected=expected) from None
    except OSError:
        return  # reading it says why


@handled
def show(run: RunName = None, runs_dir: RunsDir = Path("runs"), as_json: JsonFlag = False) -> None:
    """Show one run: its machine, the verdict of each trial, the scores of each model, the cost of each step.

    Exits with 1 if a file that it reads is not as the run wrote it; what such a file holds is left out.
    """
    from harness import store
    from harness.report import load_rows, score_rows
    from harness.store import label as labels
    from harness.store import run_progress
    from harness.store.integrity import SHOWN
    from harness.terminal import tables

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    output, integrity = Output(as_json), folder.check_files(SHOWN)
    problems = [problem.__dict__ for problem in integrity.problems]
    progress = run_progress.of(folder)
    more = {"label": labels.read(folder.path), "progress": progress.to_dict() if progress else None}
    rows = {"load_results": load_rows.read(folder.manifest), "scores": score_rows.read(folder, integrity).rows}
    output.data({**folder.manifest, **more, "problems": problems, **rows})
    output.show(*tables.run_tables(folder, integrity))
    if integrity.problems:
        raise typer.Exit(EXIT_FAILED)


@handled
def report(run: RunName = None, runs_dir: RunsDir = Path("runs"), as_json: JsonFlag = False) -> None:
    """Write the report of a run again and print its path.

    Exits with 1 if a file that it reads is not as the run wrote it; the page leaves out what such a file holds.
    """
    from harness import cleaned_tables, store
    from harness.campaign import reporting
    from harness.store.integrity import REPORTED
    from harness.terminal.progress import QuietView

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    with cleaned_tables.kept(folder.path, Output(as_json).view()), folder.lock():
        problems = folder.check_files(REPORTED)
        page = reporting.write(folder, QuietView(typer.get_text_stream("stderr")))
    Output(as_json).data({"report": str(page), "problems": [problem.__dict__ for problem in problems.problems]})
    Output(as_json).show(str(page))
    for sentence in problems.sentences:
        note(f"warning: {sentence}")
    if problems.problems:
        raise typer.Exit(EXIT_FAILED)


@handled
def verify(run: RunName = None, runs_dir: RunsDir = Path("runs"), as_json: JsonFlag = False) -> None:
    """Compare every file of a run with the hash in its manifest; exit 1 if any differs.

    Also names the state of a run that is not done, such as interrupted. Tables that `harness clean` removed are no
    problem as long as their recording is as it was written.
    """
    from harness import store
    from harness.store import manifest
    from harness.terminal import tables

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    problems, output = folder.verify(), Output(as_json)
    wrong = [problem.path for problem in problems]
    cleaned = [path for path in manifest.cleaned(folder.manifest, folder.path) if path not in wrong]
    facts = {"run": folder.path.name, "state": folder.state, "cleaned": cleaned}
    output.data({**facts, "problems": [problem.__dict__ for problem in problems]})
    output.show(tables.problems_table(folder, problems), *tables.cleaned_lines(cleaned))
    if problems:
        raise typer.Exit(EXIT_FAILED)


@handled
def down(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Remove machines that a crash or --keep left behind; machines of running campaigns are not touched.

    What a machine recorded for a killed run goes with it; `harness run --resume` fetches that first.
    """
    from harness import machines

    output = Output(as_json, quiet)
    view = output.view()
    leftovers = machines.left_behind()
    failed: list[HarnessError] = []
    for leftover in leftovers:
        try:
            with view.step(f"down:{leftover.domain}", f"Remove {leftover.domain}"):
                machines.remove(leftover)
        except HarnessError as error:  # still try to remove the others
            failed.append(error)
            view.show("warn", str(error))
    if failed:
        raise MachineError(f"{len(failed)} of {len(leftovers)} machines could not be removed: {failed[0].what}")
    output.data({"removed": [leftover.domain for leftover in leftovers]})
    removed = [f"removed {leftover.domain}" for leftover in leftovers]
    output.show(*(removed or ["no machine was left behind"]))

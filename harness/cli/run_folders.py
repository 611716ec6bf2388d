"""`harness ls`, `show`, `report`, `verify` and `down`: finished runs, and the machines they left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.run import RunsDir
from harness.errors import EXIT_FAILED, HarnessError, MachineError

RunName = Annotated[
    str | None, typer.Argument(help="The folder of a run, or the beginning of its name; default: the latest.")
]


@handled
def ls(runs_dir: RunsDir = Path("runs"), as_json: JsonFlag = False) -> None:
    """List the runs: name, state, usable trials, trained models, box, clock, largest host share and time taken."""
    from harness import store
    from harness.terminal import tables

    folders, damaged = store.readable(runs_dir)
    output = Output(as_json)
    output.data([tables.run_row(folder) for folder in folders] + [{"damaged": str(error)} for error in damaged])
    output.show(tables.runs_table(folders, runs_dir), *map(tables.damaged_line, damaged))


@handled
def show(run: RunName = None, runs_dir: RunsDir = Path("runs"), as_json: JsonFlag = False) -> None:
    """Show one run: its machine, the verdict of each trial, the scores of each model, the cost of each step."""
    from harness import store
    from harness.terminal import tables

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    output = Output(as_json)
    output.data(folder.manifest)
    output.show(*tables.run_tables(folder))


@handled
def report(run: RunName = None, runs_dir: RunsDir = Path("runs"), as_json: JsonFlag = False) -> None:
    """Write the report of a run again and print its path."""
    from harness import store
    from harness.campaign.steps import recorded_step
    from harness.report import build
    from harness.terminal.progress import QuietView

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    with folder.lock(), recorded_step(folder, QuietView(typer.get_text_stream("stderr")), "report", "Report") as step:
        page = build(folder.path)
        step.outputs.append(page)
    Output(as_json).data({"report": str(page)})
    Output(as_json).show(str(page))


@handled
def verify(run: RunName = None, runs_dir: RunsDir = Path("runs"), as_json: JsonFlag = False) -> None:
    """Compare every file of a run with the hash in its manifest; exit 1 if any differs."""
    from harness import store
    from harness.terminal import tables

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    problems = folder.verify()
    output = Output(as_json)
    output.data({"run": folder.path.name, "problems": [problem.__dict__ for problem in problems]})
    output.show(tables.problems_table(folder, problems))
    if problems:
        raise typer.Exit(EXIT_FAILED)


@handled
def down(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Remove machines that a crash or --keep left behind; machines of running campaigns are not touched."""
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
    if not leftovers:
        output.show("no machine was left behind")

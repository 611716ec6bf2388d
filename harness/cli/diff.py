"""`harness diff`: the facts and the experiment in which two runs differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.run import RunsDir
from harness.errors import EXIT_FAILED

RunName = Annotated[
    str,
    typer.Argument(
        help="The folder of a run, the beginning of its name, or its label.", autocompletion=completion.runs
    ),
]


@handled
def diff(
    first: RunName,
    second: RunName,
    show_same: Annotated[bool, typer.Option("--all", help="Also show the facts that are the same.")] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show in what two runs differ: host, machine, guest kernel, packages, software, and the experiment line by line.

    Their results are not looked at: `harness compare` does that, and lists the same facts above what it finds. A run
    may be under way, interrupted or of an earlier version; what a changed or damaged file says is left out, and the
    file is named. Of a fact that only some arms differ in, the arm is named as well.

    Exits with 1 if the runs differ, as diff does, or if a file was left out: then it is not known.
    """
    from harness import store
    from harness.comparison.facts import run_difference
    from harness.terminal.run_difference import run_difference_tables

    found = run_difference.diff(*(store.RunFolder.open(store.resolve(runs_dir, name)) for name in (first, second)))
    output = Output(as_json, quiet)
    document = found.to_dict()
    output.data(document if show_same else {key: value for key, value in document.items() if key != "same"})
    output.show(*run_difference_tables(found, show_same=show_same))
    if not found.equal:
        raise typer.Exit(EXIT_FAILED)

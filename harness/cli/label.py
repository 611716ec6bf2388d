"""`harness label`: gives a run a line of words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, handled
from harness.cli.run import RunsDir

Text = Annotated[str, typer.Argument(help="One line of words; an empty one takes the label away.")]


@handled
def label(
    run: Annotated[
        str,
        typer.Argument(
            help="The folder of a run, the beginning of its name, or its label.", autocompletion=completion.runs
        ),
    ],
    text: Text,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
) -> None:
    """Give a run a line of words, which ls, show and a report written afterwards have.

    It lies in the run folder as label.txt, which verify does not compare: a run may be labelled at any time. It names
    the run in other commands, so it cannot be another run's label, nor the beginning of another run's name.
    """
    from harness import store
    from harness.store import label as labels
    from harness.store.runs import require_unambiguous

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    require_unambiguous(folder.path, text)
    labels.write(folder.path, text)
    kept = labels.read(folder.path)
    Output(as_json).data({"run": folder.path.name, "label": kept})
    Output(as_json).show(f"{folder.path.name}: {kept or 'no label'}")

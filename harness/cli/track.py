"""`harness track`: sends runs that exist to a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.run import RunsDir
from harness.cli.track_option import targets

if TYPE_CHECKING:
    from harness.progress import View
    from harness.store import RunFolder
    from harness.tracking import Target

LIMIT_S = 600.0


@handled
def track(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Folders of runs, or the beginnings of their names; default: the latest.",
            autocompletion=completion.runs,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="mlflow[=URI]",
            help="Where to; default: where the run was sent before, else $MLFLOW_TRACKING_URI, or RUNS/mlflow.",
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Send runs that exist to MLflow: parameters, results of the trials, scores, and the report; no recordings.

    A run that was sent before is continued there; sending it again changes nothing. `harness run --track` sends a run
    while it goes on.

    Exits with 1 if a run was not sent whole.
    """
    from harness import store

    output = Output(as_json, quiet)
    names: list[str | None] = [*runs] if runs else [None]
    folders = [store.RunFolder.open(store.resolve(runs_dir, name)) for name in names]
    pairs = [(folder, target) for folder in folders for target in _targets(to, runs_dir, folder)]
    rows = [_send(folder, target, output.view()) for folder, target in pairs]
    output.data({"sent": rows})
    for row in rows:
        output.show(f"{row['run']}: run {row['tracked_run']} in {row['kind']}; look at it: {row['place']}")


def _targets(to: str | None, runs_dir: Path, folder: RunFolder) -> list[Target]:
    from harness import tracking

    return targets(to, runs_dir, folder) or [tracking.parse("mlflow", runs_dir)]


def _send(folder: RunFolder, target: Target, view: View) -> dict[str, str]:
    """Send one run, whose folder is locked meanwhile."""
    from harness.tracking import KINDS, sender, tracking

    process = sender.Sender(target)
    name = folder.path.name
    try:
        with folder.lock(), view.step(f"track:{name}", f"Send {name} to {target.kind}"):
            run = tracking.send(folder, target, process, LIMIT_S)
    finally:
        process.close()
    place = KINDS[target.kind].place(target.uri, run)
    return {"run": name, "kind": target.kind, "uri": target.uri, "tracked_run": run, "place": place}

"""`harness track`: sends runs that exist to a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, QuietFlag, handled, note
from harness.cli.run import RunsDir
from harness.cli.track_option import targets
from harness.errors import EXIT_FAILED, LockedError, TrackingError

if TYPE_CHECKING:
    from harness.store import RunFolder
    from harness.tracking import Target
    from harness.tracking.sender import Sender

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
    from harness.tracking.sender import Sender

    output = Output(as_json, quiet)
    names: list[str | None] = [*runs] if runs else [None]
    folders = [store.RunFolder.open(store.resolve(runs_dir, name)) for name in names]
    pairs = [(folder, target) for folder in folders for target in _targets(to, runs_dir, folder)]
    senders = {target: Sender(target) for _, target in pairs}
    try:
        rows = [_send(folder, target, senders[target], output) for folder, target in pairs]
    finally:
        for sender in senders.values():
            sender.close()
    output.data({"sent": rows})
    if any(row["error"] for row in rows):
        raise typer.Exit(EXIT_FAILED)


def _targets(to: str | None, runs_dir: Path, folder: RunFolder) -> list[Target]:
    from harness import tracking

    return targets(to, runs_dir, folder, "--to") or [tracking.parse("mlflow", runs_dir, "--to")]


def _send(folder: RunFolder, target: Target, sender: Sender, output: Output) -> dict[str, str | None]:
    """Send one run, whose folder is locked meanwhile, and show where it is; one that fails does not end the command."""
    from harness.tracking import tracking

    name, row = folder.path.name, dict.fromkeys(("tracked_run", "place", "error"))
    try:
        with folder.lock(), output.view().step(f"track:{name}", f"Send {name} to {target.kind}"):
            sent = tracking.send(folder, target, sender, LIMIT_S)
    except (TrackingError, LockedError) as error:
        row["error"] = str(error)
        note(f"error: {name}: {error}")
    else:
        row |= {"tracked_run": sent.run, "place": sent.place}
        output.show(f"{name}: run {sent.run} in {target.kind}; look at it: {sent.place}")
    return {"run": name, "kind": target.kind, "uri": target.uri, **row}

"""The option `--track` of commands that record: where a run is sent while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import note
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.store import RunFolder
    from harness.tracking import Target

TrackOption = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="mlflow[=URI]",
        help="Send parameters, results, scores and the report to MLflow: $MLFLOW_TRACKING_URI, or RUNS/mlflow.",
    ),
]


def targets(track: str | None, runs_dir: Path, folder: RunFolder | None, option: str = "--track") -> list[Target]:
    """Return where a run is sent: as --track says, else, if it is resumed, where it was sent before.

    Raises UsageError and MissingExtraError for what --track says; the other case is only worth a warning.
    """
    if track is not None:
        from harness import tracking

        return [tracking.parse(track, runs_dir, option)]
    if folder is None or not folder.manifest.get("tracking"):
        return []
    from harness import tracking

    try:
        return [tracking.parse(str(target), runs_dir) for target in tracking.stored(folder.manifest)]
    except HarnessError as error:
        note(f"warning: not tracked any more: {error}")
        return []

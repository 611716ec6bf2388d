"""experiment.yaml: the experiment file of a run as it was given, so that the run folder alone can be run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.files import write_atomic

if TYPE_CHECKING:
    from harness.spec import Experiment

NAME = "experiment.yaml"


def write(folder: Path, experiment: Experiment) -> str | None:
    """Write the text of the file and return its name; None if the experiment comes from no file."""
    if not experiment.text:
        return None
    write_atomic(folder / NAME, experiment.text)
    return NAME

"""Prints whether what a command read can be trusted, in the same words for every command, to stderr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import note
from harness.counted import counted
from harness.errors import EXIT_FAILED, TraceError
from harness.visible import visible

if TYPE_CHECKING:
    from harness.cli.recorded_quality import RecordedQuality
    from harness.store import RunFolder
    from harness.trace.quality import TraceQuality

StrictTables = Annotated[bool, typer.Option("--strict", help="Refuse recordings that are not whole.")]


def print_quality(quality: TraceQuality, quiet: bool = False) -> None:
    """Print the warnings and the damage of a recording; of a sound one a single line, unless `quiet`."""
    from harness.trace.quality import damage

    for warning in quality.warnings:
        note(f"warning: {warning}")
    if not quality.whole:
        note(f"warning: this recording is not whole: {damage(quality)}")
    elif not quality.warnings and not quiet:
        note(f"sound: {counted(quality.samples, 'sample')} in {quality.span_ns / 1e9:.3f} s, nothing missing")


def exit_unless_whole(quality: TraceQuality) -> None:
    """Exit with 1 if something of the recording is missing."""
    if not quality.whole:
        raise typer.Exit(EXIT_FAILED)


def warn_of_edits(run: RunFolder) -> None:
    """Warn if something other than harness changed the manifest of a run that a command goes on from."""
    if run.is_edited:
        note(f"warning: manifest.json of {run.path} was changed by another program: its experiment may be another one")


def refuse_changed(folders: Iterable[Path]) -> None:
    """Raise StoreError if a file of a trial or a model is not as its run wrote it; warn of what cannot be compared."""
    from harness.store.integrity import require_unchanged

    for folder in dict.fromkeys(folders):
        for unknown in require_unchanged(folder):
            note(f"warning: {unknown}")


def print_qualities(recordings: Sequence[RecordedQuality], quiet: bool = False) -> None:
    """Print a warning for each recording with a problem; where none has one a single line. `quiet`: warnings only."""
    problems = {one.name: one.problem for one in recordings if one.problem}
    for name, problem in problems.items():
        note(f"warning: {visible(name)}: {visible(problem)}")
    judged = [one for one in recordings if one.judged]
    if judged and not problems and not quiet:
        samples = sum(one.quality.samples for one in judged)
        note(f"sound: {counted(len(judged), 'recording')}, {counted(samples, 'sample')}, nothing missing")
    unjudged = len(recordings) - len(judged)
    if unjudged and not quiet:
        note(f"note: {counted(unjudged, 'recording')} not judged: converted by an older version")


def refuse_unsound(recordings: Sequence[RecordedQuality]) -> None:
    """Raise TraceError for the first recording that is not whole."""
    for one in recordings:
        if not one.sound:
            hint = "record again, or leave out --strict to use what is there"
            raise TraceError(one.problem, where=str(one.name), hint=hint)


def exit_unless_sound(recordings: Sequence[RecordedQuality]) -> None:
    """Exit with 1, saying why, if a recording is not whole."""
    if unsound := sum(not one.sound for one in recordings):
        count = counted(len(recordings), "recording")
        note(f"warning: of {count}, {unsound} not whole, so the exit code is {EXIT_FAILED}")
        raise typer.Exit(EXIT_FAILED)

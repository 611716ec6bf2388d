"""Prints whether what a command read can be trusted, in the same words for every command, to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness.cli.output import note
from harness.errors import EXIT_FAILED

if TYPE_CHECKING:
    from harness.trace.quality import TraceQuality


def print_quality(quality: TraceQuality, quiet: bool = False) -> None:
    """Print the warnings and the damage of a recording; of a sound one a single line, unless `quiet`."""
    from harness.trace.quality import damage

    for warning in quality.warnings:
        note(f"warning: {warning}")
    if not quality.whole:
        note(f"warning: this recording is not whole: {damage(quality)}")
    elif not quality.warnings and not quiet:
        note(f"sound: {quality.samples:,} samples in {quality.span_ns / 1e9:.3f} s, nothing missing")


def exit_unless_whole(quality: TraceQuality) -> None:
    """Exit with 1 if something of the recording is missing."""
    if not quality.whole:
        raise typer.Exit(EXIT_FAILED)

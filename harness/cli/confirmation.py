"""Asks before files are removed."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import typer

from harness.cli.output import note
from harness.errors import EXIT_FAILED, UsageError


def confirm(lines: Iterable[str], question: str) -> None:
    """Ask a question below these lines. Raises UsageError if nobody can answer; exits with 1 after any other answer."""
    if not sys.stdin.isatty():
        what = f"nobody can be asked whether to {question}"
        raise UsageError(what, hint="--yes removes them without asking")
    for line in lines:
        note(line)
    if not typer.confirm(f"{question}?", err=True):
        note("nothing was removed")
        raise typer.Exit(EXIT_FAILED)

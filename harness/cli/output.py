"""Prints the results of a command, and turns its errors into a message and an exit code."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Any, TextIO, TypeVar, cast

import typer

from harness.cli.first_line import no_first_line
from harness.cli.host_trouble import host_trouble
from harness.errors import EXIT_FAILED, EXIT_INTERRUPTED, ErrorDetails, HarnessError, Interrupted
from harness.interrupt import stop_signals_raise
from harness.paths import state_dir
from harness.progress import View
from harness.visible import visible, visible_lines, visible_message

Command = TypeVar("Command", bound=Callable[..., Any])

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")]


@dataclass(frozen=True)
class Output:
    """Prints the answer of a command to stdout: text, or one JSON document; and shows its progress on stderr."""

    as_json: bool = False
    quiet: bool = False

    def show(self, *renderables: Any) -> None:
        """Print text for people, each string on a line of its own; nothing with --json or --quiet."""
        if self.as_json or self.quiet:
            return
        from harness.terminal.console import PlainConsole
        from harness.terminal.line import line

        no_first_line()
        known = sys.stdout.isatty() or "COLUMNS" in os.environ
        console = PlainConsole(sys.stdout, width=None if known else 120)
        for renderable in renderables:
            console.show(line(renderable) if isinstance(renderable, str) else renderable)

    def data(self, document: Mapping[str, Any]) -> None:
        """Print JSON; nothing without --json. The keys are the same however many things there are to print."""
        if self.as_json:
            from harness.store.manifest import plain

            no_first_line()
            typer.echo(json.dumps(plain(document), indent=2, allow_nan=False))

    def view(self, *, json_lines: bool = False) -> View:
        """Return what shows the progress of long work on stderr: a bar on a terminal, else a line now and then.

        With --json a program reads stderr, if no person does: it gets warnings, and with `json_lines` all progress.
        """
        from harness.terminal import progress
        from harness.terminal.console import PlainConsole

        stderr = cast(TextIO, progress.BestEffortStream(sys.stderr, no_first_line))
        if self.quiet:
            return progress.QuietView(stderr)
        if sys.stderr.isatty():
            return progress.LiveView(PlainConsole(stderr))
        if self.as_json:
            return progress.JsonView(stderr) if json_lines else progress.QuietView(stderr)
        return progress.PlainView(stderr)


def note(text: str) -> None:
    """Print a line beside the result, such as a warning, to stderr."""
    no_first_line()
    typer.echo(visible_message(text), err=True)


def handled(command: Command) -> Command:
    """Turn an exception of a command into a message and an exit code, so that no user sees a traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            with stop_signals_raise():
                return command(*args, **kwargs)
        except (HarnessError, Interrupted) as error:
            print_error(error, bool(kwargs.get("as_json")))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:  # in a thread that is not the main one
            note("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:  # `harness ls | head`: the reader has closed the pipe
            sys.stderr.close()
            raise typer.Exit(EXIT_FAILED) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            known = host_trouble(error) or _defect(error)
            print_error(known, bool(kwargs.get("as_json")))
            raise typer.Exit(known.exit_code) from None

    return wrapped  # type: ignore[return-value]


def print_error(error: ErrorDetails, as_json: bool = False) -> None:
    """Print an error to stderr or, with `as_json`, as the one document on stdout."""
    no_first_line()
    if as_json:
        facts: dict[str, Any] = {"type": type(error).__name__, "what": error.what, "where": error.where}
        facts |= {"expected": error.expected, "try": error.hint, "log": error.log, "exit_code": error.exit_code}
        typer.echo(json.dumps({"error": facts}, indent=2))
        return
    try:
        from harness.terminal.console import PlainConsole
        from harness.terminal.line import line

        PlainConsole(sys.stderr).show(line(("error:", "bold red"), " ").append(str(error)))
    except MemoryError:  # too little of it, which may be the error, for the libraries that colour text
        sys.stderr.write(f"error: {error}\n")


def _defect(error: Exception) -> HarnessError:
    """Write the traceback of an unexpected exception to a file, and return an error of one sentence."""
    stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
    path = state_dir() / "crashes" / f"{stamp}.txt"
    text = visible_lines("".join(traceback.format_exception(error)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{visible(' '.join(sys.argv))}\n\n{text}", encoding="utf-8")
    except OSError:  # a full or read-only disk may be the cause; then the message carries the traceback
        return HarnessError(f"a defect of harness: {text}")
    return HarnessError(f"a defect of harness: {type(error).__name__}: {error}", hint="report the log", log=path)

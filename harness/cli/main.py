"""The tree of commands. Each command imports what it needs when it runs, so that `--help` starts fast."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer

from harness.cli import (
    about,
    box,
    clean,
    compare,
    diff,
    experiments,
    export,
    label,
    model,
    query,
    repeat,
    rm,
    run,
    run_folders,
    trace,
    track,
    train,
)
from harness.cli.output import print_error
from harness.cli.plain_values import CommandTree, PlainGroup
from harness.early_interrupt import end_at_interrupt
from harness.errors import EXIT_FAILED, EXIT_HOST, HostError, UsageError
from harness.version import version as version_of_harness

EPILOG = "Exit codes: 0 done, 1 a trial or a check failed, 2 the experiment file, an argument, a path or a name is \
wrong, 3 this host lacks something (see `harness doctor`), 130 interrupted, \
143 or 129 ended by SIGTERM or SIGHUP outside of a run."


class Commands(PlainGroup):
    """The commands; wrong arguments are refused in the words and the form of every other error."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run one command and, in standalone mode, exit."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except typer.Abort:
            code = EXIT_FAILED
        except Exception as error:
            if not hasattr(error, "format_message"):  # typer has its wrong arguments in a private module
                raise
            words = args[0] if args else options.get("args")
            code = _refuse(error, "--json" in (sys.argv[1:] if words is None else words))
        if options.get("standalone_mode", True):
            sys.exit(code)
        return code


def _refuse(error: Any, as_json: bool) -> int:
    """Print what is wrong with the arguments; help that typer has already printed has no message. Return the code."""
    if what := error.format_message():
        command = error.ctx.command_path if getattr(error, "ctx", None) else "harness"
        print_error(UsageError(what, hint=f"{command} --help"), as_json)
    return int(error.exit_code)


app = CommandTree(
    name="harness",
    cls=Commands,
    help="Record the Linux scheduler under load in a virtual machine, predict its decisions, and report how well.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"harness {version_of_harness()}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command("run")(run.run)
app.command("init")(experiments.init)
app.command("repeat")(repeat.repeat)
app.command("compare")(compare.compare)
app.command("ls")(run_folders.ls)
app.command("show")(run_folders.show)
app.command("report")(run_folders.report)
app.command("verify")(run_folders.verify)
app.command("label")(label.label)
app.command("diff")(diff.diff)
app.command("query")(query.query)
app.command("export")(export.export)
app.command("track")(track.track)
app.command("clean")(clean.clean)
app.command("rm")(rm.rm)
app.command("down")(run_folders.down)
app.add_typer(box.app, name="box")
app.add_typer(trace.app, name="trace")
app.add_typer(model.app, name="model")
app.command("train")(train.train)
app.command("evaluate")(train.evaluate)
app.command("predict")(train.predict)
app.command("loads")(about.loads)
app.command("predictors")(about.predictors)
app.command("schema")(about.schema)
app.command("doctor")(about.doctor)
app.command("help")(about.help_of)


def main() -> None:
    """The entry point of the `harness` command."""
    end_at_interrupt()  # a command handles it while it runs; before and after, nothing has to be cleaned up
    _require_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr is: a terminal or pipe may not have every letter
        sys.stdout.reconfigure(errors="backslashreplace")
    app()


def _require_streams() -> None:
    """End the command if its results have nowhere to go. Errors may have: without stderr, none is shown."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    if sys.stdout is None:
        print_error(HostError("stdout is closed", hint="harness ... > /dev/null, to see nothing"))
        sys.exit(EXIT_HOST)

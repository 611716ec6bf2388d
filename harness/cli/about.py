"""`harness loads`, `predictors`, `schema`, `doctor` and `help`: what harness knows, and a check of this host."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.first_line import no_first_line
from harness.cli.output import JsonFlag, Output, handled
from harness.errors import EXIT_FAILED, EXIT_HOST, UsageError


@handled
def loads(
    name: Annotated[
        str | None, typer.Argument(help="A load; default: all, in a line each.", autocompletion=completion.loads)
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print an experiment file with this load.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the loads; or show one: what it does to a CPU, its parameters, packages and services, and an example.

    `harness loads NAME --example` prints an experiment file that runs as it stands: harness loads redis --example |
    harness run - --dry-run
    """
    from harness import load_catalogue
    from harness.terminal import load_tables
    from harness.terminal.line import message

    if name is None:
        if example:
            raise UsageError("--example is of one load", expected="its name, as in: harness loads redis --example")
        known, problems = load_catalogue.all_loads()
        Output(as_json).data(
            {"loads": {load.kind: load.to_dict() for load in known}, "problems": list(map(str, problems))}
        )
        Output(as_json).show(*load_tables.list_of_loads(known), *map(message, map(str, problems)))
        if problems:
            raise typer.Exit(EXIT_FAILED)
        return
    load = load_catalogue.one_load(name)
    if example and not as_json:
        return typer.echo(load.example, nl=False)
    Output(as_json).data({"loads": {load.kind: load.to_dict()}, "problems": []})
    Output(as_json).show(*load_tables.about_load(load))


@handled
def predictors(
    name: Annotated[
        str | None, typer.Argument(help="A predictor's name; default: all.", autocompletion=completion.predictors)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the predictors with their inputs and settings, and the extra that each needs; or show one of them."""
    from harness.terminal import tables
    from model.errors import SettingError
    from model.predictors import EXTRAS, INPUTS_OF, KINDS, describe, require_known
    from model.settings import SETTINGS

    try:
        if name is not None:
            require_known(name)
    except SettingError as error:
        raise UsageError(str(error)) from None
    chosen = {
        kind: {
            "meaning": describe(kind),
            "inputs": INPUTS_OF[kind],
            "extra": EXTRAS[kind][1] if kind in EXTRAS else None,
            "settings": SETTINGS[kind].model_json_schema().get("properties", {}),
        }
        for kind in ([name] if name else KINDS)
    }
    Output(as_json).data({"predictors": chosen})
    Output(as_json).show(*tables.predictor_tables(chosen))


def help_of(
    ctx: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(help="A command, such as: trace convert.")] = None,
) -> None:
    """Show the help of a command, or of all."""
    no_first_line()
    ctx.find_root().command.main([*(command or []), "--help"], prog_name="harness")


@handled
def schema() -> None:
    """Print the JSON Schema of experiment files, with which an editor completes and checks them."""
    from harness import spec

    Output(as_json=True).data(spec.schema())


@handled
def doctor(as_json: JsonFlag = False) -> None:
    """Check what this host needs to bring up machines and record; exit 3 if something is missing."""
    from harness import doctor as checks
    from harness.terminal import tables

    results = checks.check_host()
    Output(as_json).data({"checks": [check.__dict__ for check in results]})
    Output(as_json).show(tables.checks_table(results))
    if not all(check.ok or check.advice for check in results):
        raise typer.Exit(EXIT_HOST)

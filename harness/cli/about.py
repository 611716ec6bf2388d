"""`harness loads`, `schema`, `doctor` and `help`: the loads, the schema of experiment files, a check of this host."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.output import JsonFlag, Output, handled
from harness.errors import EXIT_HOST


@handled
def loads(as_json: JsonFlag = False) -> None:
    """List the loads with their parameters."""
    from harness.loads import KINDS
    from harness.terminal import tables

    if as_json:
        Output(as_json).data({"loads": {kind: load.model_json_schema() for kind, load in KINDS.items()}})
    Output(as_json).show(*tables.load_tables(KINDS))


def help_of(
    ctx: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(help="A command, such as: trace convert.")] = None,
) -> None:
    """Show the help of a command, or of all."""
    ctx.find_root().command.main([*(command or []), "--help"], prog_name="harness")


@handled
def schema() -> None:
    """Print the JSON Schema of experiment files, with which an editor completes and checks them."""
    import json

    from harness import spec

    typer.echo(json.dumps(spec.schema(), indent=2))


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

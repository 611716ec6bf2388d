"""Commands about harness itself: its loads, the schema of experiment files, and what this host has."""

from __future__ import annotations

import typer

from harness.cli.output import JsonFlag, Output, handled
from harness.errors import EXIT_HOST


@handled
def loads(as_json: JsonFlag = False) -> None:
    """List the loads with their parameters."""
    from harness.loads import KINDS
    from harness.terminal import tables

    if as_json:
        Output(as_json).data({kind: load.model_json_schema() for kind, load in KINDS.items()})
    Output(as_json).show(*tables.loads(KINDS))


@handled
def schema() -> None:
    """Print the JSON Schema of experiment files, for completion and checks in an editor."""
    import json

    from harness import spec

    typer.echo(json.dumps(spec.schema(), indent=2))


@handled
def doctor(as_json: JsonFlag = False) -> None:
    """Check what this host needs to bring up machines and record; exit 3 if something is missing."""
    from harness import doctor as checks
    from harness.terminal import tables

    found = checks.examine()
    Output(as_json).data([check.__dict__ for check in found])
    Output(as_json).show(tables.checks(found))
    if not all(check.ok or check.advice for check in found):
        raise typer.Exit(EXIT_HOST)

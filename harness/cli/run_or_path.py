"""An argument that is a path or names a run: its name, or the beginning of it, and maybe a trial after a slash."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from harness.errors import UsageError
from harness.visible import visible


def run_or_path(ctx: typer.Context, param: Any, value: Any) -> Any:
    """Return the path, or each of several; one that leads nowhere names a run in the folder of runs."""
    if isinstance(value, (list, tuple)):
        return [_path(one, ctx, param) for one in value]
    return value if value in (None, Path("-")) else _path(value, ctx, param)


def _path(given: Path, ctx: typer.Context, param: Any) -> Path:
    """Return a path that is there, or cannot be looked at: the command says why. Raises BadParameter for any other."""
    try:
        given.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        found = _named(given, ctx, param)
    except OSError:
        return given
    else:
        return given
    if found is None:
        raise typer.BadParameter(f"{visible(given)}: there is no such file, folder or run", ctx=ctx, param=param)
    return found


def _named(given: Path, ctx: typer.Context, param: Any) -> Path | None:
    """Return the run or trial of this name, None if there is none. Raises BadParameter if several begin so."""
    from harness.store import find_runs

    name, *rest = given.parts or ("",)
    try:
        runs = [run for run in find_runs(Path(os.environ.get("HARNESS_RUNS") or "runs")) if run.name.startswith(name)]
    except UsageError as error:
        raise typer.BadParameter(f"{visible(given)}: {error}", ctx=ctx, param=param) from None
    runs = [run for run in runs if run.name == name] or runs
    if len(runs) > 1:
        names = ", ".join(run.name for run in runs[:5])
        raise typer.BadParameter(f"{visible(given)}: {len(runs)} runs begin so: {visible(names)}", ctx=ctx, param=param)
    found = [path for run in runs for path in (run.joinpath(*rest), run.joinpath("trials", *rest)) if path.exists()]
    return found[0] if name and found else None

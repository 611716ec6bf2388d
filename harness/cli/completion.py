"""The values that a shell completes: runs, boxes, loads, predictors, experiments. Each is read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import typer


def _beginning(incomplete: str, names: Callable[[], Iterable[str]]) -> list[str]:
    """Return the names that begin with what was typed; where they cannot be read, a shell shows none."""
    with suppress(Exception):
        return [name for name in names() if name.startswith(incomplete)]
    return []


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a run in the folder that `--runs` names; newest first."""
    folder = Path(ctx.params.get("runs_dir") or "runs")
    found = (path.parent.name for path in folder.glob("*/manifest.json"))
    return _beginning(incomplete, lambda: sorted(found, reverse=True))


def arms(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of an arm of the runs that were typed; without one, of every run."""
    folder = Path(ctx.params.get("runs_dir") or "runs")
    given = ctx.params.get("runs") or [""]
    paths = [path for name in given for path in ([Path(name)] if Path(name).is_dir() else folder.glob(f"{name}*"))]
    return _beginning(incomplete, lambda: sorted({arm for path in paths for arm in _arms_of(path)}))


def _arms_of(run: Path) -> list[str]:
    from harness.store.manifest import read

    with suppress(Exception):
        return list(read(run).get("arms") or ())
    return []


def boxes(incomplete: str) -> list[str]:
    """Complete the name of a recipe."""
    from harness.boxes import names

    return _beginning(incomplete, names)


def loads(incomplete: str) -> list[str]:
    """Complete the kind of a load."""
    from harness.loads import KINDS

    return _beginning(incomplete, lambda: KINDS)


def predictors(incomplete: str) -> list[str]:
    """Complete the name of a predictor."""
    from model.predictors import KINDS

    return _beginning(incomplete, lambda: KINDS)


def experiments(incomplete: str) -> list[str]:
    """Complete the name of an experiment that comes with harness."""
    from harness.paths import data_dir

    return _beginning(incomplete, lambda: sorted(path.stem for path in data_dir("experiments").glob("*.yaml")))


def experiments_or_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete what `harness run` takes: with --resume a run, else an experiment."""
    if ctx.params.get("resume"):
        return runs(ctx, incomplete)
    return experiments(incomplete) + _beginning(incomplete, lambda: sorted(map(str, Path().glob("*.yaml"))))

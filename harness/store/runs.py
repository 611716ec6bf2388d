"""Finding run folders by name."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from harness.errors import StoreError, UsageError
from harness.store.folder import RunFolder
from harness.store.manifest import NAME

SECOND = len("2026-11-22T10-15-03")  # of runs begun in one second, `..._10` comes after `..._2`


def find_runs(runs_dir: Path) -> list[Path]:
    """All run folders below `runs_dir`, oldest first; folders without a manifest are none."""
    if not runs_dir.is_dir():
        return []
    runs = (path for path in runs_dir.iterdir() if (path / NAME).is_file())
    return sorted(runs, key=lambda run: (run.name[:SECOND], len(run.name), run.name))


def readable(runs_dir: Path) -> tuple[list[RunFolder], list[StoreError]]:
    """All runs below `runs_dir`, oldest first, and what is wrong with those that cannot be read."""
    found, damaged = [], []
    for path in find_runs(runs_dir):
        try:
            found.append(RunFolder.open(path))
        except StoreError as error:
            damaged.append(error)
    return found, damaged


def resolve(runs_dir: Path, name: str | None = None) -> Path:
    """The run folder of that name, path or unique beginning of a name; the newest one for None. Raises UsageError."""
    runs = find_runs(runs_dir)
    if name is None:
        if not runs:
            hint = "start one: harness run experiments/nginx_ab.yaml"
            raise UsageError("there are no runs yet", where=str(runs_dir), hint=hint)
        return runs[-1]
    if (Path(name) / NAME).is_file():
        return Path(name)
    return _by_name(runs_dir, runs, name)


def _by_name(runs_dir: Path, runs: list[Path], name: str) -> Path:
    exact = [run for run in runs if run.name == name]
    found = exact or [run for run in runs if run.name.startswith(name)]
    if name and len(found) == 1:
        return found[0]
    if name and found:
        names = ", ".join(run.name for run in found[:5])
        raise UsageError(f"{name!r} is the beginning of {len(found)} runs", where=str(runs_dir), expected=names)
    near = get_close_matches(name, [run.name for run in runs], n=1, cutoff=0.3)
    hint = f"did you mean {near[0]}?" if near else "`harness ls` lists the runs"
    raise UsageError(f"there is no run {name!r}", where=str(runs_dir), hint=hint)

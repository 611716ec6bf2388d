"""`harness clean`: removes tables, which harness makes again when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion
from harness.cli.confirmation import confirm
from harness.cli.made_tables import TABLES
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.rm import YesFlag
from harness.cli.run import RunsDir
from harness.counted import counted
from harness.errors import LockedError, StoreError, TraceError
from harness.paths import cache_dir

if TYPE_CHECKING:
    from harness.cleaned_tables import TrialTables
    from harness.progress import View
    from harness.store import RunFolder

Rows = list[dict[str, Any]]
RunNames = Annotated[
    list[str] | None,
    typer.Argument(
        help="Folders of runs, or beginnings of their names; default: all runs, and the cache.",
        autocompletion=completion.runs,
    ),
]


@handled
def clean(
    runs: RunNames = None,
    runs_dir: RunsDir = Path("runs"),
    cache: Annotated[
        bool, typer.Option("--cache", help="The tables in the cache: alone, or beside those of the runs named.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed and change nothing.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Remove tables (*.parquet of trials), which harness makes again by itself; asks before it does so.

    A trial keeps its recording, perf.data.zst, and a run its models, scores and report. report, run --resume, train,
    evaluate, predict, repeat and `import harness` make tables again when they read them, in the time that it takes to
    read the recording. So that they can, each table is made again before it is removed; one of which this version
    makes another stays, and so does that of a trial that is not done.

    The cache has the tables of recordings that train, evaluate or predict were given as they are.
    """
    output = Output(as_json, quiet)
    folders, left = _runs(runs, runs_dir) if runs or not cache else ([], [])
    rows = [row for folder in folders for row in _rows(folder)]
    cache_bytes = _cache_bytes() if cache or not runs else 0
    if (rows or cache_bytes) and not (dry_run or yes):
        confirm(_sizes(rows, cache_bytes), f"remove {_total(rows, cache_bytes)}")
    if not dry_run:
        rows, kept = _remove(folders, output.view())
        left += kept
        _remove_cache(cache_bytes)
    total = sum((row["bytes"] for row in rows), cache_bytes)
    output.data({"dry_run": dry_run, "removed": rows, "cache_bytes": cache_bytes, "bytes": total, "left": left})
    done = f"{'would remove' if dry_run else 'removed'} {_total(rows, cache_bytes)}" if total else "nothing to clean"
    output.show(*(_sizes(rows, cache_bytes) if dry_run else ()), done, *map(_why_left, left))


def _runs(names: list[str] | None, runs_dir: Path) -> tuple[list[RunFolder], Rows]:
    """Open the runs that are named; without names all, and return why some of them are left as they are."""
    from harness import store

    if names:
        paths = dict.fromkeys(store.resolve(runs_dir, name).resolve() for name in names)
        return [_not_under_way(store.RunFolder.open(path)) for path in paths], []
    folders, damaged = store.readable(runs_dir)
    left: Rows = [{"run": error.where, "trial": None, "why": error.what} for error in damaged]
    found = []
    for folder in folders:
        try:
            found.append(_not_under_way(folder))
        except LockedError as error:
            left.append({"run": str(folder.path), "trial": None, "why": error.what})
    return found, left


def _not_under_way(folder: RunFolder) -> RunFolder:
    """Return a run. Raises LockedError while a process works in it."""
    from harness.store import lock

    if lock.is_locked(folder.path):
        raise lock.held_by_another(folder.path)
    return folder


def _rows(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the tables of each trial that can be removed, and their bytes."""
    from harness import cleaned_tables

    for tables in cleaned_tables.removable(folder):
        yield _row(folder, tables)


def _row(folder: RunFolder, tables: TrialTables) -> dict[str, Any]:
    from harness.store import disk_size

    size = disk_size.of_files(folder.path / path for path in tables.paths)
    return {"run": str(folder.path), "trial": tables.trial, "tables": list(tables.paths), "bytes": size}


def _remove(folders: list[RunFolder], view: View) -> tuple[Rows, Rows]:
    """Remove the tables of these runs; return what was removed, and what was left and why."""
    from harness import cleaned_tables

    removed, left = Rows(), Rows()
    for folder in folders:
        if not cleaned_tables.removable(folder):
            continue
        with folder.lock():
            for tables in cleaned_tables.removable(folder):
                row, title = _row(folder, tables), f"Make the tables of {tables.trial} again, before they are removed"
                with view.step(f"clean:{tables.trial}", title) as watcher:
                    try:
                        cleaned_tables.clean(folder, tables, watcher)
                        removed.append(row)
                    except (StoreError, TraceError) as error:
                        left.append({"run": row["run"], "trial": tables.trial, "why": error.what})
    return removed, left


def _cache_bytes() -> int:
    """Return the bytes of the tables in the cache."""
    from harness.store import disk_size

    return disk_size.of_folder(cache_dir() / TABLES)


def _remove_cache(size: int) -> None:
    from harness.store import removal

    if size:
        removal.remove(cache_dir() / TABLES)


def _sizes(rows: Rows, cache_bytes: int) -> list[str]:
    """Return a line for each run with tables, and for the cache."""
    from harness.store.disk_size import spelt

    runs = {row["run"]: [other for other in rows if other["run"] == row["run"]] for row in rows}
    lines = [f"{run}  {_total(tables, 0)}" for run, tables in runs.items()]
    return lines + ([f"{cache_dir() / TABLES}  {spelt(cache_bytes)}"] if cache_bytes else [])


def _total(rows: Rows, cache_bytes: int) -> str:
    from harness.store.disk_size import spelt

    tables = counted(sum(len(row["tables"]) for row in rows), "table")
    cached = " and those in the cache" if cache_bytes else ""
    return f"{tables}{cached}, {spelt(sum((row['bytes'] for row in rows), cache_bytes))}"


def _why_left(row: dict[str, Any]) -> str:
    return f"left: {' '.join(filter(None, (row['run'], row['trial'])))}: {row['why']}"

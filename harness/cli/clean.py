"""`harness clean`: removes tables, which harness makes again when they are needed."""

from __future__ import annotations

import fcntl
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
from harness.errors import EXIT_FAILED, HarnessError, LockedError, StoreError, TraceError
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
    """Remove tables of trials, *.parquet, which harness makes again by itself; asks before it does so.

    report, run --resume, train, evaluate, predict, repeat and `import harness` make them again from the recording when
    they read them. Each is made again before it is removed, too: one that this version makes otherwise stays.

    The cache has the tables of recordings that train, evaluate or predict were given as they are.

    Exits with 1 if tables that were named stay, and says why: also those that a process reads.
    """
    from harness import cleaned_tables
    from harness.store import disk_size

    output, cached = Output(as_json, quiet), cache_dir() / TABLES
    folders, left = _runs(runs, runs_dir) if runs or not cache else ([], [])
    rows = [tables.facts() for folder in folders for tables in cleaned_tables.removable(folder)]
    cache_bytes = disk_size.of_folder(cached) if cache or not runs else 0
    if (rows or cache_bytes) and not (dry_run or yes):
        confirm(_sizes(rows, cache_bytes), f"remove {_total(rows, cache_bytes)}")
    if cache_bytes and not dry_run and (used := _remove_cache(cached)):  # first: to remove the others takes some space
        cache_bytes, left = 0, [*left, used]
    if not dry_run:
        rows, kept = _remove(folders, output.view())
        left += kept
    total = sum((row["bytes"] for row in rows), cache_bytes)
    output.data({"dry_run": dry_run, "removed": rows, "cache_bytes": cache_bytes, "bytes": total, "left": left})
    done = f"{'would remove' if dry_run else 'removed'} {_total(rows, cache_bytes)}" if total else "nothing to clean"
    whys = [f"left: {' '.join(filter(None, (row['run'], row['trial'])))}: {row['why']}" for row in left]
    output.show(*(_sizes(rows, cache_bytes) if dry_run else ()), done, *whys)
    if (runs or cache) and left:
        raise typer.Exit(EXIT_FAILED)


def _runs(names: list[str] | None, runs_dir: Path) -> tuple[list[RunFolder], Rows]:
    """Open the runs that are named; without names all, and return why some of them are left as they are.

    Raises LockedError while a process works in a run that is named.
    """
    from harness import store
    from harness.store import lock

    folders, damaged = store.readable(runs_dir) if not names else ([], [])
    for path in dict.fromkeys(store.resolve(runs_dir, name).resolve() for name in names or ()):
        if lock.is_locked(path):
            raise lock.held_by_another(path)
        folders.append(store.RunFolder.open(path))
    left = [(error.where, error.what) for error in damaged]
    busy = [folder for folder in folders if lock.is_locked(folder.path)]
    left += [(str(folder.path), "another process works in this run folder") for folder in busy]
    at_rest = [folder for folder in folders if folder not in busy]
    return at_rest, [{"run": run, "trial": None, "why": why} for run, why in left]


def _remove(folders: list[RunFolder], view: View) -> tuple[Rows, Rows]:
    """Remove the tables of these runs; return what was removed, and what was left and why."""
    from harness import cleaned_tables

    removed, left = Rows(), Rows()
    for folder in filter(cleaned_tables.removable, folders):
        try:
            with folder.lock():
                for tables in cleaned_tables.removable(folder):
                    _remove_tables(tables, view, removed, left)
        except HarnessError as error:
            left.append({"run": str(folder.path), "trial": None, "why": error.what})
    return removed, left


def _remove_cache(cached: Path) -> dict[str, Any] | None:
    """Remove the tables in the cache; return why they were left while another process reads them."""
    from harness.store import lock, removal

    try:
        with lock.of_tables(cached, fcntl.LOCK_EX | fcntl.LOCK_NB):
            removal.remove(cached)
    except LockedError as error:
        return {"run": str(cached), "trial": None, "why": error.what}
    return None


def _remove_tables(tables: TrialTables, view: View, removed: Rows, left: Rows) -> None:
    from harness import cleaned_tables

    facts = tables.facts()
    with view.step(f"clean:{tables.trial}", f"Check the tables of {tables.trial}") as watcher:
        try:
            cleaned_tables.clean(tables, watcher)
            removed.append(facts)
        except (StoreError, TraceError) as error:
            left.append({"run": facts["run"], "trial": tables.trial, "why": error.what})


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

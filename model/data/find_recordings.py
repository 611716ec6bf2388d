"""Finds the recordings in the paths that a user names: a run, one trial of it, or a folder of tables."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from model.data import clocks, kernels, metadata
from model.errors import NoTablesError, StreamError, TableError


def recordings(paths: Sequence[Path]) -> list[Path]:
    """Return the folders that hold a slices table, in the order named; the trials of a run by name.

    Trials with a bad verdict are left out of a run that has good ones. A bad trial named by itself, and a run of bad
    trials, are refused. Raises TableError (nothing found) or StreamError (bad verdict, kernels or clocks mixed, named
    twice).
    """
    folders = [folder for path in paths for folder in _under(Path(path))]
    if not folders:
        raise NoTablesError("no recordings named: expected a run, or a folder with a slices table")
    count = Counter(folder.resolve() for folder in folders)
    if twice := [folder for folder in folders if count[folder.resolve()] > 1]:
        raise StreamError(f"{twice[0]} is named twice, so its events would count twice: name each recording once")
    kernels.require_one_kernel(folders)
    clocks.one_clock(folders)
    return folders


def _under(path: Path) -> list[Path]:
    _refuse_cleaned(path)
    if (path / "slices.parquet").is_file():
        _refuse_bad(path)
        return [path]
    trials = sorted(table.parent for table in path.glob("trials/*/slices.parquet"))
    if not trials:
        _refuse_untraced(path)
        _refuse_without_slices(path)
        if (path / "switches.parquet").is_file():
            raise TableError(
                f"{path}: it has switches but no slices, like tables of the text of `perf sched map`: "
                "convert the recording itself, or import the text of `perf script --ns`"
            )
        how = (
            "make tables of perf.data, or of the text of `perf script`, with `harness trace convert` or `import`, "
            "in Python `harness.convert` or `harness.import_text`"
        )
        raise NoTablesError(
            f"{path}: no slices.parquet and no trials/*/slices.parquet: expected a run or its tables; {how}"
        )
    good = [trial for trial in trials if not _failed_checks(trial)]
    if not good:
        _refuse_bad(trials[0])
    return good


def _refuse_cleaned(path: Path) -> None:
    """Raise TableError if a run, or a trial of it, lacks a table that `harness clean` removed."""
    run = path if (path / metadata.MANIFEST).is_file() else metadata.run_of(path)
    if run is None:
        return
    for table in metadata.mapping(metadata.manifest(run), "cleaned"):
        if not os.path.exists(run / table) and (path == run or table.startswith(f"trials/{path.resolve().name}/")):
            raise TableError(
                f"{path}: {table} was removed by `harness clean`: `harness evaluate` makes it again, and so does what "
                "harness.open_run and harness.open_recording return"
            )


def _refuse_untraced(path: Path) -> None:
    """Raise NoTablesError for a trial, or a run of trials, that had no tracer."""
    trials = [known for folder in (path, *path.glob("trials/*")) if (known := metadata.trial(folder))]
    if trials and all(trial.get("tracer") == "none" for trial in trials):
        raise NoTablesError(f"{path}: recorded without a tracer (record.tracer: none), so there is nothing to predict")


def _refuse_without_slices(folder: Path) -> None:
    """Raise StreamError if the folder has no slices because its recording does not tell them."""
    quality = metadata.quality(folder)
    if quality.get("run_times") is False:
        why = quality.get("scope_evidence") if quality.get("scope") == "some tasks" else "events were left out"
        raise StreamError(f"{folder}: its recording tells no slices ({why}): record with `perf sched record`")


def require_run_queues(inputs: str, folders: Sequence[Path]) -> None:
    """Raise StreamError if a predictor with these inputs looks at run queues that a recording does not tell."""
    for folder in folders:
        if inputs == "runqueue" and metadata.quality(folder).get("run_queues") is False:
            raise StreamError(
                f"{folder}: its recording does not tell who could run, which this predictor looks at: record wakeups, "
                "too, with `perf sched record`, or choose a predictor with other inputs"
            )


def _refuse_bad(folder: Path) -> None:
    failed = _failed_checks(folder)
    if failed:
        raise StreamError(f"{folder}: its verdict is bad ({', '.join(failed)}): record it again")


def _failed_checks(folder: Path) -> list[str]:
    """Return the names of the checks that a recording failed; none for tables that no trial made."""
    verdict = metadata.mapping(metadata.trial(folder), "verdict")
    if verdict.get("ok", True):
        return []
    checks = verdict.get("checks")
    failed = (
        [check for check in checks if isinstance(check, dict) and not check.get("ok")]
        if isinstance(checks, list)
        else []
    )
    return [str(check.get("name")) for check in failed] or ["no reason given"]

"""Finds the recordings behind the paths a user names: a run, one trial of it, or a folder of tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from model.errors import StreamError, TableError


def recordings(paths: Sequence[Path]) -> list[Path]:
    """The folders that hold a slices table, in the order named; a run's trials by name.

    A trial of a run whose verdict is bad is left out where the run has good ones, and refused where it was named itself
    or has no good company. Raises TableError (nothing found) or StreamError (bad verdict, kernels mixed, named twice).
    """
    found = [folder for path in paths for folder in _under(Path(path))]
    if not found:
        raise TableError("no recordings named: expected a run, or a folder with a slices table")
    places = Counter(folder.resolve() for folder in found)
    if twice := [folder for folder in found if places[folder.resolve()] > 1]:
        raise StreamError(f"{twice[0]} is named twice, so its events would count twice: name each recording once")
    same_kernel(found)
    return found


def _under(path: Path) -> list[Path]:
    if (path / "slices.parquet").is_file():
        _refuse_bad(path)
        return [path]
    trials = sorted(table.parent for table in path.glob("trials/*/slices.parquet"))
    if not trials:
        raise TableError(f"{path}: no slices.parquet and no trials/*/slices.parquet: expected a run or its tables")
    good = [trial for trial in trials if not _failed_checks(trial)]
    if not good:
        _refuse_bad(trials[0])
    return good


def _refuse_bad(folder: Path) -> None:
    failed = _failed_checks(folder)
    if failed:
        raise StreamError(f"{folder}: its verdict is bad ({', '.join(failed)}): record it again")


def _failed_checks(folder: Path) -> list[str]:
    """The checks that speak against a recording; tables that no trial made have none."""
    verdict = _trial(folder).get("verdict") or {}
    if verdict.get("ok", True):
        return []
    return [str(check.get("name")) for check in verdict.get("checks", []) if not check.get("ok")] or ["no reason given"]


def same_kernel(folders: Sequence[Path]) -> None:
    """StreamError where the guests say that they had several kernels."""
    kernels = {kernel: folder for folder in folders if (kernel := _kernel(folder))}
    if len(kernels) > 1:
        told = "; ".join(f"{kernel} in {folder.name}" for kernel, folder in sorted(kernels.items()))
        hint = "a predictor is trained on one scheduler at a time; name those of one kernel"
        raise StreamError(f"recordings of several kernels ({told}): {hint}")


def _kernel(folder: Path) -> str | None:
    try:
        guest = json.loads((folder / "guest.json").read_text())
    except (OSError, ValueError):
        return None
    return (guest.get("facts") or {}).get("kernel") if isinstance(guest, dict) else None


def _trial(folder: Path) -> dict:
    try:
        told = json.loads((folder / "trial.json").read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise TableError(f"{folder / 'trial.json'}: not JSON ({error}): record the trial again") from error
    return told if isinstance(told, dict) else {}

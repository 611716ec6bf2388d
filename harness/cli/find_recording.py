"""The recording that a path names: a file or folder of perf, the one of a trial, or the one of a run with one trial."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError

EXPECTED = "a perf.data, a folder of perf record --threads, a trial, or a run with one trial"


def find_recording(path: Path) -> Path:
    """Return the recording that a path names. Raises UsageError if it names none, or a run with several."""
    if not path.is_dir() or (path / "data").exists():
        return path
    found = _recordings(path) or [
        one for trial in sorted((path / "trials").glob("*")) if trial.is_dir() for one in _recordings(trial)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(one.parent) for one in found[:6]) + (", ..." if len(found) > 6 else "")
        raise UsageError(f"{path}: there are {len(found)} recordings in it", expected=f"one of {names}")
    if any(path.glob("*.parquet")):
        what, hint = "this folder has tables, but not the recording they were made of", "give the recording itself"
        raise UsageError(f"{path}: {what}", expected=EXPECTED, hint=hint)
    raise UsageError(f"{path}: there is no recording in this folder", expected=EXPECTED)


def _recordings(folder: Path) -> list[Path]:
    """Return the recordings of a trial: perf.data, compressed once the trial has passed."""
    return sorted(file for file in folder.glob("perf.data*") if file.suffix in (".data", ".zst"))

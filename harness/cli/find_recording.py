"""The recordings that a path names: a file or folder of perf, the one of a trial, or those of a run."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError

EXPECTED = "a perf.data, a folder of perf record --threads, a trial, or a run"
SHOWN = 6


def find_recording(path: Path) -> Path:
    """Return the one recording that a path names. Raises UsageError if it names none, or a run with several."""
    found = find_recordings(path)
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(one.parent) for one in found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    raise UsageError(f"{path}: there are {len(found)} recordings in it", expected=f"one of {names}")


def find_recordings(path: Path) -> list[Path]:
    """Return the recording that a path names, or those of all trials of a run. Raises UsageError if it names none."""
    if not path.is_dir() or (path / "data").exists():
        return [path]
    found = _recordings(path) or [
        one for trial in sorted((path / "trials").glob("*")) if trial.is_dir() for one in _recordings(trial)
    ]
    if found:
        return found
    if any(path.glob("*.parquet")):
        what, hint = "this folder has tables, but not the recording they were made of", "give the recording itself"
        raise UsageError(f"{path}: {what}", expected=EXPECTED, hint=hint)
    what = "it was recorded without a tracer" if _is_untraced(path) else "there is no recording in this folder"
    raise UsageError(f"{path}: {what}", expected=EXPECTED)


def _is_untraced(path: Path) -> bool:
    """Return whether a path is a trial, or a run of trials, that had no tracer."""
    from harness.store.trial_record import read_trial

    folders = [folder for folder in (path, *path.glob("trials/*")) if (folder / "trial.json").is_file()]
    return bool(folders) and all(read_trial(folder).get("tracer") == "none" for folder in folders)


def _recordings(folder: Path) -> list[Path]:
    """Return the recordings of a trial: perf.data, compressed once the trial has passed."""
    return sorted(file for file in folder.glob("perf.data*") if file.suffix in (".data", ".zst"))

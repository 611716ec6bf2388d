"""Seam: formats that a recording can be handed on in. Each module has `export`, which returns the files it wrote."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from harness.errors import UsageError

KINDS = {
    "csv": "harness.trace.export.tables",
    "parquet": "harness.trace.export.tables",
    "perf-sched-map": "harness.trace.export.sched_map",
    "perfetto": "harness.trace.export.perfetto",
}
FOLDERS = ("csv", "parquet")  # the others are one file


def export(recording: Path, kind: str, target: Path | str, formats_from: Path | None = None) -> list[Path]:
    """Write a recording as `kind`: into the folder `target` for csv and parquet, else to the file `target`.

    Returns the files written, each whole or not there at all. Raises TraceError and HostError as `read` and
    `convert` do, and UsageError where the kind is unknown or needs a package that is not installed, or where the file
    would be a folder or in the place of the recording.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown format {kind!r}", where="--to", expected=f"one of {', '.join(KINDS)}")
    if kind not in FOLDERS:
        _check_file(recording, Path(target))
    try:
        module = import_module(KINDS[kind])
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the format {kind} needs the package {error.name}",
            hint=f"install it with the extra: pip install 'harness[{kind}]'",
        ) from error
    found: list[Path] = module.export(recording, Path(target), kind, formats_from)
    return found


def _check_file(recording: Path, target: Path) -> None:
    """Before anything is read: a recording takes long to read, and longer to make again."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder", where="--out", expected="the name of a file to write")
    if recording.resolve() in (target.resolve(), *target.resolve().parents):
        raise UsageError(f"{target} is the recording itself, or in it", where="--out", expected="another file")

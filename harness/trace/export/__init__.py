"""Seam: the formats that a recording can be exported to. Each module has `export`, which returns the files written."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from harness.errors import UsageError
from harness.trace.perf_data.recording import path_in_errors

KINDS = {
    "csv": "harness.trace.export.tables",
    "parquet": "harness.trace.export.tables",
    "perf-sched-map": "harness.trace.export.sched_map",
    "perfetto": "harness.trace.export.perfetto",
}
_FOLDER_KINDS = ("csv", "parquet")  # the others are one file


def export(
    recording: Path,
    kind: str,
    target: Path | str,
    formats_from: Path | None = None,
    about: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write a recording as `kind`: into the folder `target` for csv and parquet, otherwise to the file `target`.

    `about` is added to the metadata of Parquet tables, as `convert` does; the other formats have no place for it.
    Returns the files written; each appears whole or not at all. Raises TraceError and HostError as `read` and `convert`
    do. Raises UsageError if the kind is unknown or needs a package that is not installed, or if `target` is a folder
    or the recording where it should be a new file.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown format {kind!r}", where="--to", expected=f"one of {', '.join(KINDS)}")
    if kind not in _FOLDER_KINDS:
        _check_target(recording, Path(target))
    try:
        module = import_module(KINDS[kind])
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the format {kind} needs the package {error.name}",
            hint=f"install it with the extra: pip install 'harness[{kind}]'",
        ) from error
    with path_in_errors(recording):
        written: list[Path] = module.export(recording, Path(target), kind, formats_from, about or {})
    return written


def _check_target(recording: Path, target: Path) -> None:
    """Check before anything is read: a recording takes long to read, and longer to make again."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder", where="--out", expected="the name of a file to write")
    if recording.resolve() in (target.resolve(), *target.resolve().parents):
        raise UsageError(f"{target} is the recording itself, or in it", where="--out", expected="another file")

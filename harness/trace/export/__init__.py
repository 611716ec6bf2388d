"""Seam: the formats that a recording can be exported to. Each module has `export`, which returns an `Exported`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MissingExtraError, UsageError
from harness.extras import MODULES
from harness.trace.perf_data.recording import path_in_errors
from harness.trace.tracepoint.state_reading import check_states

if TYPE_CHECKING:
    from harness.trace.quality import TraceQuality

KINDS = {
    "csv": "harness.trace.export.tables",
    "parquet": "harness.trace.export.tables",
    "perf-sched-map": "harness.trace.export.sched_map",
    "perfetto": "harness.trace.export.perfetto",
}
_FOLDER_KINDS = ("csv", "parquet")  # the others are one file


@dataclass(frozen=True)
class ReadOptions:
    """How to read the recording; the fields are arguments of `harness.trace.convert`.

    Only the format parquet has a place for `about`.
    """

    strict: bool = False
    formats_from: Path | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    states: str | None = None


@dataclass(frozen=True)
class Exported:
    """The files written, and the judgement of the recording they were made of."""

    paths: list[Path]
    quality: TraceQuality


def export(recording: Path, kind: str, target: Path | str, options: ReadOptions | None = None) -> Exported:
    """Write a recording as `kind`: into the folder `target` for csv and parquet, otherwise to the file `target`.

    Each file appears whole or not at all. Raises TraceError and HostError as `read` and `convert` do, MissingExtraError
    if the kind needs a package that is not installed, and UsageError if the kind or `states` is unknown, or if `target`
    is a folder or the recording where it should be a new file.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown format {kind!r}", where="--to", expected=f"one of {', '.join(KINDS)}")
    options = options or ReadOptions()
    check_states(options.states)
    if kind not in _FOLDER_KINDS:
        _check_target(recording, Path(target))
    try:
        module = import_module(KINDS[kind])
    except ModuleNotFoundError as error:
        if error.name not in MODULES:
            raise
        raise MissingExtraError(*MODULES[error.name], where=f"--to {kind}") from error
    with path_in_errors(recording):
        exported: Exported = module.export(recording, Path(target), kind, options)
    return exported


def _check_target(recording: Path, target: Path) -> None:
    """Check before anything is read: a recording takes long to read, and longer to make again."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder", where="--out", expected="the name of a file to write")
    if recording.resolve() in (target.resolve(), *target.resolve().parents):
        raise UsageError(f"{target} is the recording itself, or in it", where="--out", expected="another file")

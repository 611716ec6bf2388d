"""Tables of recordings that are given to `train`, `evaluate` or `predict` as they are: made once, kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from harness.cli.output import Output
from harness.errors import TraceError
from harness.files import as_host_error, open_regular
from harness.paths import cache_dir
from harness.version import __version__

TABLES, NAME = "tables", "recording.json"


def tables_of(paths: Sequence[Path], output: Output) -> list[Path]:
    """Return the paths, with the tables of a recording or of a text of events in its place.

    Those of a trial's own recording are the trial's. Others are made in the cache, unless they are there already; they
    are then the same folder, so that what was trained on them is known again. Raises TraceError, HostError.
    """
    return [_tables(path, output) if path.is_file() or (path / "data").is_file() else path for path in paths]


def _tables(path: Path, output: Output) -> Path:
    if (path.parent / "trial.json").is_file() and (path.parent / "slices.parquet").is_file():
        return path.parent
    folder = cache_dir() / TABLES / _key(path) / path.resolve().name
    if not (folder / NAME).is_file():
        _make(path, folder, output)
    if _is_map(folder):
        raise _without_slices(path)
    return folder


def _key(path: Path) -> str:
    """Return what changes when a recording does: its place, sizes and times, and the version that reads it."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    with as_host_error(path):
        stamps = [(str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return hashlib.sha256(repr((__version__, stamps)).encode()).hexdigest()[:24]


def _make(path: Path, folder: Path, output: Output) -> None:
    from harness.store.trial_record import clock_beside
    from harness.trace.converter import convert
    from harness.trace.text.importer import import_text

    make = import_text if path.is_file() and _is_text(path) else convert
    with output.view().step("convert", f"Convert {path}") as watcher:
        watcher.note(f"reading {path}")
        make(path, folder, on_progress=watcher.advance, about=clock_beside(path))


def _is_text(path: Path) -> bool:
    from harness.trace.perf_data.file_kind import HEAD_BYTES, is_text

    with as_host_error(path), open_regular(path) as file:
        return is_text(file.read(HEAD_BYTES))


def _is_map(folder: Path) -> bool:
    """Whether the tables were made of the text of `perf sched map`, which has nothing but switches."""
    return {table.stem for table in folder.glob("*.parquet")} == {"switches"}


def _without_slices(path: Path) -> TraceError:
    return TraceError(
        "the text of `perf sched map` gives no slices to predict from: it has no states, priorities or wakeups",
        where=str(path),
        expected="a recording, or the text of `perf script` or `trace-cmd report`",
        hint="print it again with `perf script --ns`, or give the recording itself",
    )

"""Tables of recordings that are given to `train`, `evaluate` or `predict` as they are: made once, kept in the cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.cli.output import Output
from harness.errors import HarnessError, TraceError
from harness.files import as_host_error, open_regular
from harness.paths import cache_dir
from harness.version import RELEASE

TABLES = "tables"
Names = Mapping[Path, Path]


def tables_of(paths: Sequence[Path], output: Output) -> list[Path]:
    """Return the paths, with the tables of a recording or of a text of events in its place.

    Those of a trial's own recording are the trial's. Others are made in the cache, unless they are there already; they
    are then the same folder, so that what was trained on them is known again. Damaged ones are made again; those that
    `harness clean` removed from a run or a trial are made again there. Raises TraceError, HostError, StoreError.
    """
    return [_tables(path, output) for path in paths]


def _tables(path: Path, output: Output) -> Path:
    from harness import cleaned_tables

    is_recording = path.is_file() or (path / "data").is_file()
    cleaned_tables.restore(cleaned_tables.absent_at(path.parent if is_recording else path), output.view())
    if not is_recording:
        return path
    if (path.parent / "trial.json").is_file() and (path.parent / "slices.parquet").is_file():
        return path.parent
    folder = cache_dir() / TABLES / _key(path) / path.resolve().name
    if not _is_there(folder):
        _make(path, folder, output)
    if _is_map(folder):
        raise _without_slices(path)
    return folder


def names_of(paths: Sequence[Path], tables: Sequence[Path]) -> Names:
    """Return, by the folder in the cache that `tables_of` gave for it, what the user named."""
    own = cache_dir() / TABLES
    return {folder: path for path, folder in zip(paths, tables, strict=True) if folder.is_relative_to(own)}


@contextmanager
def named_as_given(names: Names) -> Iterator[None]:
    """Name in an error what the user named, not the folder in the cache or a file of it."""
    try:
        yield
    except HarnessError as error:
        error.what = _named_as_given(error.what, names)
        error.where = _named_as_given(error.where, names) if error.where else None
        error.expected = _named_as_given(error.expected, names) if error.expected else None
        raise


def _named_as_given(text: str, names: Names) -> str:
    for folder, path in names.items():
        text = re.sub(re.escape(str(folder)) + r"(/[\w.]*\w)?", str(path).replace("\\", r"\\"), text)
    return text


def _is_there(folder: Path) -> bool:
    from model.data.unchanged import are_unchanged

    return folder.is_dir() and are_unchanged(folder)


def _key(path: Path) -> str:
    """Return what changes when a recording does: its place, sizes and times, and the release that reads it."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    with as_host_error(path):
        stamps = [(str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return hashlib.sha256(repr((RELEASE, stamps)).encode()).hexdigest()[:24]


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

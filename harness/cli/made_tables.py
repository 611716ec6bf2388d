"""Tables of recordings that are given to `train`, `evaluate` or `predict` as they are: made once, kept in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.cli.output import Output
from harness.errors import HarnessError, TraceError
from harness.files import as_host_error, make_folder, open_regular
from harness.paths import cache_dir
from harness.store import lock
from harness.version import RELEASE

TABLES = "tables"
Names = Mapping[Path, Path]


@contextmanager
def tables_of(paths: Sequence[Path], output: Output) -> Iterator[tuple[list[Path], Names]]:
    """Yield the paths, with the tables of a recording or of a text of events in its place; and what the user named.

    Those of a trial's own recording are the trial's. Others are made in the cache, unless they are there already; they
    are then the same folder, so that what was trained on them is known again. Damaged ones are made again; those that
    `harness clean` removed from a run or a trial are made again there. It removes none of them until the block ends.
    Raises TraceError, HostError, StoreError.
    """
    cached = cache_dir() / TABLES
    with ExitStack() as kept:
        tables = [_tables(path, cached, output, kept) for path in paths]
        yield tables, {folder: path for path, folder in zip(paths, tables, strict=True) if cached in folder.parents}


def _tables(path: Path, cached: Path, output: Output, kept: ExitStack) -> Path:
    from harness import cleaned_tables

    is_recording = path.is_file() or (path / "data").is_file()
    kept.enter_context(cleaned_tables.kept(path.parent if is_recording else path, output.view()))
    if not is_recording:
        return path
    if (path.parent / "trial.json").is_file() and (path.parent / "slices.parquet").is_file():
        return path.parent
    make_folder(cached)
    kept.enter_context(lock.of_tables(cached, fcntl.LOCK_SH))
    folder = cached / _key(path) / path.resolve().name
    if not _is_there(folder):
        _make(path, folder, output)
    if _is_map(folder):
        raise _without_slices(path)
    return folder


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

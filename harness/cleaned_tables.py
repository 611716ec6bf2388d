"""Tables of trials that are not kept: their recordings can make them again, and do so when they are needed.

The steps in the manifest keep the SHA-256 of such tables. `cleaned` names those that may be absent, with the SHA-256 of
their content and their time, which trained models know them by. It is written before a table is removed, and its entry
goes after the table is back, so that a process that is killed leaves a run that is whole. The kernel's lock on the run
folder keeps tables that are read, and the one on its `trials` lets one process at a time make tables again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.counted import counted
from harness.errors import HostError, StoreError
from harness.files import as_host_error, sha256, sync, write_atomic
from harness.progress import SilentWatcher, View, Watcher
from harness.store import disk_size, lock, manifest, verify
from harness.store.folder import RunFolder
from harness.store.manifest import CLEANED
from harness.store.trial_record import clock_beside
from harness.store.verify import RECORDING
from harness.temporary import held_folder
from harness.version import version


@dataclass(frozen=True)
class TrialTables:
    """Tables of one trial of a run, as paths in the run folder."""

    run: RunFolder
    trial: str
    paths: tuple[str, ...]

    @property
    def step(self) -> str:
        """The step that wrote them."""
        return f"trial:{self.trial}"

    @property
    def outputs(self) -> dict[str, str]:
        """The SHA-256 of the files of the trial, by their paths."""
        return dict(self.run.manifest["steps"][self.step]["outputs"])

    def beside(self, name: str) -> str:
        """Return the path of another file of the trial."""
        return f"trials/{self.trial}/{name}"

    def facts(self) -> dict[str, Any]:
        """Return run, trial, paths and bytes, for lists and programs."""
        size = disk_size.of_files(self.run.path / path for path in self.paths)
        return {"run": str(self.run.path), "trial": self.trial, "tables": list(self.paths), "bytes": size}


def removable(run: RunFolder) -> list[TrialTables]:
    """Return the tables of each finished trial that are there and have their recording beside them."""
    found = []
    for name, step in run.manifest["steps"].items():
        trial, outputs = name.removeprefix("trial:"), step["outputs"]
        there = [path for path in outputs if manifest.trial_of(path) == trial and (run.path / path).is_file()]
        if there and step["state"] == "done" and f"trials/{trial}/{RECORDING}" in outputs:
            found.append(TrialTables(run, trial, tuple(there)))
    return found


def absent(run: RunFolder, trial: str | None = None) -> list[TrialTables]:
    """Return the tables that a run, or one of its trials, lacks because they were cleaned."""
    by_trial: dict[str, list[str]] = {}
    for path in manifest.cleaned(run.manifest, run.path):
        by_trial.setdefault(str(manifest.trial_of(path)), []).append(path)
    return [TrialTables(run, name, tuple(paths)) for name, paths in by_trial.items() if trial in (None, name)]


def absent_at(path: Path) -> list[TrialTables]:
    """Return those of the run or trial that a path names; none where it names neither."""
    run, trial = _run_and_trial(path)
    try:
        return absent(RunFolder.open(run), trial) if (run / manifest.NAME).is_file() else []
    except (StoreError, OSError):  # who reads the tables that are there says what is wrong with it
        return []


def _run_and_trial(path: Path) -> tuple[Path, str | None]:
    path = path.resolve()
    return (path.parent.parent, path.name) if path.parent.name == "trials" else (path, None)


@contextmanager
def kept(path: Path, view: View | None = None) -> Iterator[None]:
    """Make absent tables of a run or a trial again, and keep `clean` from removing them in the block.

    A path that names neither is left as it is. Raises as `restore` does.
    """
    with lock.of_tables(_run_and_trial(path)[0], fcntl.LOCK_SH):
        restore(absent_at(path), view)
        yield


def clean(tables: TrialTables, watcher: Watcher) -> None:
    """Remove tables of a run that is locked, once its recording has made the same again.

    Raises StoreError, and removes none, if they are not as the run wrote them or this version makes others; LockedError
    while another process reads tables of the run.
    """
    with lock.of_tables(tables.run.path, fcntl.LOCK_EX | fcntl.LOCK_NB):
        _clean(tables, watcher)


def _clean(tables: TrialTables, watcher: Watcher) -> None:
    run, files = tables.run, {path: tables.run.path / path for path in tables.paths}
    for path in files:
        _require_as_written(tables, path)
    entries = {
        path: {"content_sha256": _content(file), "modified_ns": file.stat().st_mtime_ns} for path, file in files.items()
    }
    with _made_again(tables, watcher) as made:
        for path, file in made.items():
            if _content(file) != entries[path]["content_sha256"]:
                what = f"harness {version()} makes another {file.name} of its recording than {_writer(run)}"
                raise StoreError(what, where=str(run.path / path))
    run.update(cleaned={**run.manifest.get(CLEANED, {}), **entries})
    run.event("clean", trial=tables.trial, tables=[file.name for file in files.values()])
    for file in files.values():
        with as_host_error(file):
            file.unlink()


def restore(missing: list[TrialTables], view: View | None = None) -> None:
    """Make absent tables of a run again; do nothing where none is. Waits for another process that makes them.

    Raises LockedError, HostError if the run cannot be written to, StoreError if the recording is not as the run wrote
    it, or this version makes other tables of it.
    """
    if not missing:
        return
    run, wanted = missing[0].run, {tables.trial for tables in missing}
    try:
        with lock.of_tables(run.path / "trials", fcntl.LOCK_EX):
            if wanted & {tables.trial for tables in absent(RunFolder.open(run.path))}:
                _restore_all(run, wanted, view)
    except HostError as error:
        what = f"tables of {counted(len(missing), 'trial')} were cleaned, and cannot be made again: {error.what}"
        raise HostError(what, where=error.where, expected=error.expected, hint=_convert(missing[0])) from error


def _restore_all(run: RunFolder, trials: Collection[str], view: View | None) -> None:
    with run.held():
        for tables in (still for still in absent(run) if still.trial in trials):
            title = f"Make the tables of {tables.trial} again"
            step = view.step(f"tables:{tables.trial}", title) if view else nullcontext(SilentWatcher())
            with step as watcher:
                _restore(tables, watcher)


@contextmanager
def _made_again(tables: TrialTables, watcher: Watcher) -> Iterator[dict[str, Path]]:
    """Make tables of a trial in a temporary folder of the run, and yield where each is."""
    from harness.trace.converter import convert

    for name in (RECORDING, "trial.json"):  # which has the clock
        _require_as_written(tables, tables.beside(name))
    folder, recording = tables.run.path, tables.run.path / tables.beside(RECORDING)
    names = {path: Path(path).stem for path in tables.paths}
    with ExitStack() as stack:
        with as_host_error(folder):
            out = stack.enter_context(held_folder(folder, "tables"))
        about = clock_beside(recording)
        made = convert(recording, out, tables=(*names.values(),), about=about, on_progress=watcher.advance)
        yield {path: made.paths[name] for path, name in names.items()}


def _restore(tables: TrialTables, watcher: Watcher) -> None:
    run, entries = tables.run, tables.run.manifest[CLEANED]
    with _made_again(tables, watcher) as made:
        for path, file in made.items():
            if _content(file) != entries[path]["content_sha256"]:
                raise _other_content(tables, path)
        _accept(tables, {path: sha256(file) for path, file in made.items()})
        for path, file in made.items():
            with as_host_error(run.path / path):
                os.utime(file, ns=(int(entries[path]["modified_ns"]),) * 2)
                file.replace(run.path / path)
                sync((run.path / path).parent)
    run.update(cleaned={path: entry for path, entry in entries.items() if path not in tables.paths})
    run.event("restore", trial=tables.trial, tables=[Path(path).name for path in tables.paths])


def _accept(tables: TrialTables, hashes: Mapping[str, str]) -> None:
    """Take over the hashes of tables whose bytes differ, as another pyarrow writes them, but not their content.

    The manifest comes first, as the tables are absent yet; `recording.json` is made to fit by whoever restores them.
    """
    from harness.trace.recording_file import NAME, with_tables

    path = tables.beside(NAME)
    file, outputs = tables.run.path / path, tables.outputs
    text = with_tables(file, {Path(table).name: digest for table, digest in hashes.items()})
    hashes = {**hashes, **({path: manifest.text_sha256(text)} if text else {})}
    if other := {name: digest for name, digest in hashes.items() if outputs.get(name) != digest}:
        if text:
            _require_as_written(tables, path)
        tables.run.replace_outputs(tables.step, other)
        tables.run.event("rewritten", trial=tables.trial, outputs=other)
    if text and file.read_text("utf-8") != text:
        write_atomic(file, text)


def _require_as_written(tables: TrialTables, path: str) -> None:
    file = tables.run.path / path
    for problem in verify.of_output(file, path, str(tables.outputs.get(path)), tables.step):
        what = f"{file.name} is not the file that the run wrote ({problem.kind}: {problem.detail})"
        hint = "restore it from a copy; `harness verify` lists all that has changed"
        raise StoreError(what, where=str(file), expected="the SHA-256 in manifest.json", hint=hint)


def _other_content(tables: TrialTables, path: str) -> StoreError:
    what = f"this table was cleaned, and harness {version()} makes another one of its recording"
    expected, hint = f"the table that {_writer(tables.run)} wrote", f"use that version; or {_convert(tables)}"
    return StoreError(what, where=str(tables.run.path / path), expected=expected, hint=hint)


def _convert(tables: TrialTables) -> str:
    recording = tables.run.path / tables.beside(RECORDING)
    return f"harness trace convert {recording} --out FOLDER, and name FOLDER instead"


def _writer(run: RunFolder) -> str:
    return f"harness {run.manifest.get('versions', {}).get('harness', 'of an unknown version')}"


def _content(file: Path) -> str:
    from harness.trace.tables.content_hash import content_sha256

    return content_sha256(file)

"""Tables of trials that are not kept: their recordings can make them again, and do so when they are needed.

The steps in the manifest keep the SHA-256 of such tables. `cleaned` names those that may be absent, with the SHA-256 of
their content and their time, which trained models know them by. It is written before a table is removed, and its entry
goes after the table is back, so that a process that is killed leaves a run that is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.counted import counted
from harness.errors import HostError, StoreError
from harness.files import as_host_error, sha256, sync, write_atomic
from harness.progress import SilentWatcher, View, Watcher
from harness.store import manifest, verify
from harness.store.folder import RunFolder
from harness.store.manifest import CLEANED
from harness.store.trial_record import clock_beside
from harness.store.verify import RECORDING
from harness.temporary import held_folder
from harness.version import __version__


@dataclass(frozen=True)
class TrialTables:
    """Tables of one trial, as paths in the run folder."""

    trial: str
    paths: tuple[str, ...]

    @property
    def step(self) -> str:
        """The step that wrote them."""
        return f"trial:{self.trial}"

    @property
    def recording(self) -> str:
        """The path of what they were made of."""
        return f"trials/{self.trial}/{RECORDING}"


def removable(run: RunFolder) -> list[TrialTables]:
    """Return the tables of each finished trial that are there and have their recording beside them."""
    found = []
    for name, step in run.manifest["steps"].items():
        kind, _, trial = name.partition(":")
        if kind == "trial" and step["state"] == "done" and f"trials/{trial}/{RECORDING}" in step["outputs"]:
            tables = tuple(
                path for path in step["outputs"] if manifest.trial_of(path) == trial and (run.path / path).is_file()
            )
            found += [TrialTables(trial, tables)] if tables else []
    return found


def absent(path: Path) -> list[str]:
    """Return the paths of the tables that a run, or one of its trials, lacks because they were cleaned."""
    run, trial = _run_of(path)
    return [path for tables in _missing(run, trial) for path in tables.paths] if run else []


def clean(run: RunFolder, tables: TrialTables, watcher: Watcher) -> None:
    """Remove tables of a run that is locked, once its recording has made the same again.

    Raises StoreError, and removes none, if they are not as the run wrote them or this version makes others.
    """
    outputs = run.manifest["steps"][tables.step]["outputs"]
    for path in tables.paths:
        _require_as_written(run, tables.step, path)
    files = {path: run.path / path for path in tables.paths}
    entries = {
        path: {"content_sha256": _content(file), "modified_ns": file.stat().st_mtime_ns} for path, file in files.items()
    }
    with _made_again(run, tables, watcher) as made:
        for path, file in made.items():
            if sha256(file) != outputs[path] and _content(file) != entries[path]["content_sha256"]:
                what = f"harness {__version__} makes another {file.name} of its recording than {_writer(run)}"
                raise StoreError(what, where=str(run.path / path))
    run.update(cleaned={**run.manifest.get(CLEANED, {}), **entries})
    run.event("clean", trial=tables.trial, tables=[file.name for file in files.values()])
    for file in files.values():
        with as_host_error(file):
            file.unlink()


def restore(run: RunFolder, view: View | None = None, trial: str | None = None) -> None:
    """Make the cleaned tables of a run, or of one trial, again; do nothing where all are there.

    Raises LockedError, HostError if the run cannot be written to, StoreError if the recording is not as the run wrote
    it, or this version makes other tables of it.
    """
    if not (missing := _missing(run, trial)):
        return
    try:
        with run.held():
            for tables in _missing(run, trial):
                with _step(view, tables) as watcher:
                    _restore(run, tables, watcher)
    except HostError as error:
        what = f"tables of {counted(len(missing), 'trial')} were cleaned, and cannot be made again: {error.what}"
        hint = f"harness trace convert {run.path / missing[0].recording} --out FOLDER, and name FOLDER instead"
        raise HostError(what, where=error.where, expected=error.expected, hint=hint) from error


def restore_at(path: Path, view: View | None = None) -> None:
    """Do so for a path that may name a run or one of its trials."""
    run, trial = _run_of(path)
    if run:
        restore(run, view, trial)


def _run_of(path: Path) -> tuple[RunFolder | None, str | None]:
    """Return the run that a path names, or the one of the trial that it names and the trial."""
    path = path.resolve()
    run, trial = (path.parent.parent, path.name) if path.parent.name == "trials" else (path, None)
    try:
        return (RunFolder.open(run), trial) if (run / manifest.NAME).is_file() else (None, None)
    except (StoreError, OSError):  # who reads the tables that are there says what is wrong with it
        return None, None


def _missing(run: RunFolder, trial: str | None) -> list[TrialTables]:
    """Return the tables to make again, of one trial or of all."""
    by_trial: dict[str, list[str]] = {}
    for path in manifest.cleaned(run.manifest, run.path):
        name = manifest.trial_of(path)
        if name and trial in (None, name):
            by_trial.setdefault(name, []).append(path)
    return [TrialTables(name, tuple(paths)) for name, paths in by_trial.items()]


def _step(view: View | None, tables: TrialTables) -> Any:
    title = f"Make the tables of {tables.trial} again"
    return view.step(f"tables:{tables.trial}", title) if view else nullcontext(SilentWatcher())


@contextmanager
def _made_again(run: RunFolder, tables: TrialTables, watcher: Watcher) -> Iterator[dict[str, Path]]:
    """Make tables of a trial in a temporary folder of the run, and yield where each is."""
    from harness.trace.converter import convert

    for path in (tables.recording, f"trials/{tables.trial}/trial.json"):  # which has the clock
        _require_as_written(run, tables.step, path)
    recording, names = run.path / tables.recording, {path: Path(path).stem for path in tables.paths}
    with ExitStack() as stack:
        with as_host_error(run.path):
            folder = stack.enter_context(held_folder(run.path, "tables"))
        about = clock_beside(recording)
        made = convert(recording, folder, tables=(*names.values(),), about=about, on_progress=watcher.advance)
        yield {path: made.paths[name] for path, name in names.items()}


def _restore(run: RunFolder, tables: TrialTables, watcher: Watcher) -> None:
    entries = run.manifest[CLEANED]
    with _made_again(run, tables, watcher) as made:
        for path, file in made.items():
            if _content(file) != entries[path]["content_sha256"]:
                raise _other_content(run, tables, path)
        _accept(run, tables, {path: sha256(file) for path, file in made.items()})
        for path, file in made.items():
            with as_host_error(run.path / path):
                os.utime(file, ns=(int(entries[path]["modified_ns"]),) * 2)
                file.replace(run.path / path)
                sync((run.path / path).parent)
    run.update(cleaned={path: entry for path, entry in entries.items() if path not in tables.paths})
    run.event("restore", trial=tables.trial, tables=[Path(path).name for path in tables.paths])


def _accept(run: RunFolder, tables: TrialTables, hashes: Mapping[str, str]) -> None:
    """Take over the hashes of tables whose bytes differ, as another pyarrow writes them, but not their content.

    The manifest comes first, as the tables are absent yet; `recording.json` is made to fit by whoever restores them.
    """
    from harness.trace.recording_file import NAME, with_tables

    outputs = run.manifest["steps"][tables.step]["outputs"]
    path = f"trials/{tables.trial}/{NAME}"
    text = with_tables(run.path / path, {Path(table).name: digest for table, digest in hashes.items()})
    hashes = {**hashes, **({path: manifest.text_sha256(text)} if text is not None else {})}
    if other := {name: digest for name, digest in hashes.items() if outputs.get(name) != digest}:
        if text is not None:
            _require_as_written(run, tables.step, path)
        run.replace_outputs(tables.step, other)
        run.event("rewritten", trial=tables.trial, outputs=other)
    if text is not None and (run.path / path).read_text("utf-8") != text:
        write_atomic(run.path / path, text)


def _require_as_written(run: RunFolder, step: str, path: str) -> None:
    expected = run.manifest["steps"][step]["outputs"].get(path)
    for problem in verify.of_output(run.path / path, path, str(expected), step):
        what = f"{Path(path).name} is not the file that the run wrote ({problem.kind}: {problem.detail})"
        hint = "restore it from a copy; `harness verify` lists all that has changed"
        raise StoreError(what, where=str(run.path / path), expected="the SHA-256 in manifest.json", hint=hint)


def _other_content(run: RunFolder, tables: TrialTables, path: str) -> StoreError:
    return StoreError(
        f"this table was cleaned, and harness {__version__} makes another one of its recording",
        where=str(run.path / path),
        expected=f"the table that {_writer(run)} wrote",
        hint=f"make it with that version; or harness trace convert {run.path / tables.recording} --out FOLDER, "
        "and name FOLDER instead",
    )


def _writer(run: RunFolder) -> str:
    return f"harness {run.manifest.get('versions', {}).get('harness', 'of an unknown version')}"


def _content(file: Path) -> str:
    from harness.trace.tables.content_hash import content_sha256

    return content_sha256(file)

"""Opens recordings: a perf.data in memory, or a folder of tables; and makes such folders."""

from __future__ import annotations

import os
from pathlib import Path

from harness.api.recording import Recording
from harness.api.sources import TRIAL, PerfData, TableFolder
from harness.api.trial import Trial
from harness.errors import TraceError, UsageError
from harness.store.trial_record import clock_beside

MANIFEST = "manifest.json"


def open_recording(
    path: str | os.PathLike[str],
    *,
    strict: bool = False,
    formats_from: str | os.PathLike[str] | None = None,
    states: str | None = None,
) -> Recording:
    """Open a recording: a perf.data of any kind, a folder of tables, or the folder of a trial, which gives a `Trial`.

    A perf.data (also .zst, .gz, .xz, .bz2, .zip, a pipe's, or a folder of `perf record --threads`) is decoded in
    memory, about 100 bytes an event; `convert` makes tables of a larger one. Of a folder each table is read when it is
    asked for, and nothing stays open. A damaged recording is read as far as it goes, and its `warnings` say what is
    missing; with `strict` that is an error. `formats_from` and `states` are those of `harness.trace.read`.

    Raises UsageError (no such file, or a folder without a recording) and TraceError (no recording, or with `strict`
    one that is not whole).
    """
    path = Path(path)
    recording = _open(path, formats_from, states)
    if strict and recording.whole is False:
        what, hint = "; ".join(recording.warnings) or "it is not whole", "record again, or leave out strict"
        raise TraceError(what, where=str(path), hint=hint)
    return recording


def _open(path: Path, formats_from: str | os.PathLike[str] | None, states: str | None) -> Recording:
    if not os.path.exists(path):  # Path.exists raises an OSError for some names
        expected = "a perf.data, a folder of tables, or a trial's"
        raise UsageError("there is no such file or folder", where=str(path), expected=expected)
    if path.is_dir() and ((path / TRIAL).exists() or TableFolder(path).names):
        return _open_folder(path, formats_from is not None or states is not None)
    if path.is_dir() and (path / MANIFEST).exists():
        raise UsageError("this is a run, with several recordings", where=str(path), hint="harness.open_run(...).trials")
    from harness.trace import read
    from harness.trace.quality import require_events

    trace = read(path, formats_from=_path(formats_from), states=states)
    require_events(path, trace.quality)
    return Recording(path, PerfData(trace))


def _open_folder(folder: Path, options: bool) -> Recording:
    if options:
        expected = "formats_from and states with a perf.data only"
        raise UsageError("these tables are decoded already", where=str(folder), expected=expected)
    return (Trial if (folder / TRIAL).exists() else Recording)(folder, TableFolder(folder))


def convert(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    strict: bool = False,
    formats_from: str | os.PathLike[str] | None = None,
    states: str | None = None,
) -> Recording:
    """Write the tables of a perf.data into the folder `out`, as `harness trace convert` does, and open that folder.

    Memory does not grow with the recording. Predictors learn from such folders. Options and errors are those of
    `open_recording`; HostError where a table cannot be written.
    """
    from harness.trace import convert as to_tables

    formats, about = _path(formats_from), clock_beside(Path(path))
    to_tables(Path(path), Path(out), strict=strict, formats_from=formats, states=states, about=about)
    return open_recording(out)


def import_text(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, strict: bool = False, states: str | None = None
) -> Recording:
    """Write the tables of a text that perf printed of a recording, as `harness trace import` does, and open them.

    What the text does not tell is not in the tables. Raises TraceError, with file and line, for any other text.
    """
    from harness.trace.text import importer

    importer.import_text(Path(path), Path(out), strict=strict, states=states, about=clock_beside(Path(path)))
    return open_recording(out)


def _path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)

"""Turns a text that perf printed into the tables that `convert` writes, as far as the text has what they need."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import TraceError
from harness.trace.converter import ALL_TABLES, ConvertedRecording, SliceOutput, finish_tables
from harness.trace.identity import identify
from harness.trace.quality import require_complete
from harness.trace.reader import RecordingInfo
from harness.trace.recording_file import recording_facts, remove_former
from harness.trace.tables.cpu_usage import UsageCounter
from harness.trace.tables.writer import LateSliceWriter, TableWriter
from harness.trace.text.absences import Absences
from harness.trace.text.escapes import without_escapes
from harness.trace.text.line_forms import LineForm, form_of
from harness.trace.text.lines import Line, TextFile
from harness.trace.text.notes import Notes
from harness.trace.text.perf_script import ScriptReader
from harness.trace.text.printed_states import read_states
from harness.trace.text.rows import Tables, to_arrow
from harness.trace.text.sched_map import SchedMapReader, is_map_line
from harness.trace.text.soundness import assess_text, require_switches
from harness.trace.text.wrong_file import FORMS, FTRACE, PERF_SCRIPT, SCHED_MAP, name_text
from harness.trace.tracepoint.state_reading import StateReading, check_states

_TABLES = {PERF_SCRIPT: ALL_TABLES, FTRACE: ALL_TABLES, SCHED_MAP: ("switches",)}
_WAKEUP = re.compile(rb"sched_wak(?:ing|eup)(?!_)")
_MOST_LINES = 16  # before the first that tells what the text is: a name of 15 bytes may be that many


def import_text(
    path: Path | str,
    out_dir: Path | str,
    *,
    strict: bool = False,
    states: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    about: Mapping[str, str] | None = None,
) -> ConvertedRecording:
    """Write the tables of a text of one of FORMS into `out_dir`, and `recording.json` last.

    The text is read line by line. Each file appears whole or not at all. `states` and `about` are as
    `convert` has them. Calls `on_progress` with the bytes read so far
    and in all. Raises TraceError, with file and line, for any other text, for one without switches, and with `strict`
    for one that is not whole; HostError if a table cannot be written; UsageError for other `states`.
    """
    check_states(states)
    text, folder, notes, usage = TextFile(Path(path), on_progress), Path(out_dir), Notes(), UsageCounter()
    form, header = form_of_text(text)
    kind = form.name if form else SCHED_MAP
    info = _recording_info(header, text.path)
    reader = ScriptReader(text, notes, form) if form else SchedMapReader(text, notes)
    reading = read_states(text, form, info.os_release, states) if form else StateReading()
    with contextlib.ExitStack() as stack:
        identity = stack.enter_context(identify(text.path))
        events = [name for name in _TABLES[kind] if name != "slices"]
        writers = {name: stack.enter_context(TableWriter(folder, name, about=about)) for name in events}
        slices = None
        if "slices" in _TABLES[kind]:
            slices = SliceOutput(reading.shifted, stack.enter_context(LateSliceWriter(folder, about)), usage)
            slices.has_queues = any(_WAKEUP.search(without_escapes(line.content)) for line in text)
        absences = Absences(reading.shifted)
        for rows in reader.read():
            absences.take(rows)
            _write(rows, writers, slices)
        if slices:
            slices.finish()
        require_switches(text, reader.rows.counts)
        quality = assess_text(kind, text, reader.rows, notes, reading, info, absences)
        if strict:
            require_complete(text.path, quality)
        facts = recording_facts(identity(), info, quality)
        facts = remove_former(folder, facts, [folder / f"{name}.parquet" for name in _TABLES[kind]])
    paths, row_counts = finish_tables(folder, facts, writers, slices, quality, about or {})
    used, idle_share = usage.result() if slices and quality.run_times else ({}, None)
    return ConvertedRecording(paths, quality, info, facts, used, idle_share, row_counts)


def _write(rows: Tables, writers: Mapping[str, TableWriter], slices: SliceOutput | None) -> None:
    tables = {name: to_arrow(name, rows[name]) for name in writers}
    for name, writer in writers.items():
        writer.add(tables[name])
    if slices:
        slices.add(tables)


def form_of_text(text: TextFile) -> tuple[LineForm | None, dict[str, str]]:
    """Return the form of a text of events, None for one of `perf sched map`; and the facts of its header.

    Raises TraceError for any other text, and for one without events.
    """
    notes, unknown = Notes(), list[Line]()
    for line in text:
        if is_map_line(line.content):
            return None, notes.header
        if form := form_of(line.content):
            return form, notes.header
        if not notes.take(line.content):
            unknown.append(line)
        if len(unknown) > _MOST_LINES:
            break
    if not unknown:
        require_switches(text, {})
    what, hint = name_text(unknown[0].content)
    raise TraceError(
        f"{what}: {unknown[0].content[:60]!r}",
        where=text.where(unknown[0].number),
        expected=FORMS,
        hint=hint,
    )


def _recording_info(header: Mapping[str, str], path: Path) -> RecordingInfo:
    """Return what `perf script --header` says of the machine."""
    nrcpus = header.get("nrcpus online", "")
    return RecordingInfo(
        hostname=header.get("hostname"),
        os_release=header.get("os release"),
        perf_version=header.get("perf version"),
        arch=header.get("arch"),
        cpu=header.get("cpudesc"),
        nrcpus=int(nrcpus) if nrcpus.isdecimal() else None,
        cmdline=tuple(header.get("cmdline", "").split()),
        began_s=None,
        captured_s=path.stat().st_mtime,
    )

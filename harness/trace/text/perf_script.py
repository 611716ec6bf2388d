"""Reads a text of events: a line for each, which may be followed by the functions that led to it.

A line begins with the task that ran, which is not read, and has a CPU, a time, the event, and its values.
A task's name may hold anything but NUL, newlines included, so an event may take several lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import TraceError
from harness.trace.text.escapes import has_escapes, without_escapes
from harness.trace.text.interruption import rejoined
from harness.trace.text.line_forms import LineForm
from harness.trace.text.lines import Line, TextFile
from harness.trace.text.notes import Notes
from harness.trace.text.rows import Rows, Tables
from harness.trace.text.script_events import READERS, EventReader

_LOST = re.compile(rb" lost (\d{1,18})\s*")
_FUNCTION = re.compile(  # that led to the event: an address, a symbol
    rb"\t.*|\s+[0-9a-f]{1,16}(?: +[^\s\d].*)?|\s*=> \S.*"
)
_MOST_LINES = 16  # of the values of an event: a name has at most 15 bytes, so at most 15 newlines
_MOST_BEFORE_CPU = 64  # bytes: a name, the ids of process and thread
_NAME_BYTES = 16  # perf prints names right-aligned in 16 columns


@dataclass
class _Unfinished:
    """An event whose values do not end in the lines read so far; `reader` is None for what is only counted."""

    line: int
    event: str
    time_ns: int
    cpu: int
    text: bytes
    reader: EventReader | None
    lines: int = 1


class ScriptReader:
    """Reads a text into rows."""

    def __init__(self, text: TextFile, notes: Notes, form: LineForm) -> None:
        self.rows = Rows(text)
        self._text, self._notes, self._form = text, notes, form
        self._event: _Unfinished | None = None
        self._begun_name: list[Line] = []  # lines that are only right as the begin of the next event's task name

    def read(self) -> Iterator[Tables]:
        """Yield rows by table, in the order of time. Raises TraceError for any other text."""
        for line in rejoined(self._text):
            self._take(line)
            yield from self.rows.ready()
        self._note_cut()
        yield from self.rows.rest()

    def _take(self, line: Line) -> None:
        found = self._form.head.search(line.content)
        if not found and has_escapes(line.content):
            plain = Line(line.number, without_escapes(line.content))
            found = self._form.head.search(plain.content)
            line = plain if found else line
        if found:
            self._end_event()
            self._refuse_begun_name(line.content[: found.start()])
            self._begin(line, found)
        elif self._event and (self._event.reader or not self._notes.take(line.content)):
            self._continue(self._event, line)
        else:
            self._take_rest(line)

    def _begin(self, line: Line, found: re.Match[bytes]) -> None:
        time_ns = int(found["s"]) * 10**9 + int(found["us"]) * 1000 + int(found["ns"] or 0)
        self.rows.has_ns = self.rows.has_ns and found["ns"] is not None
        cpu, values = self._cpu_and_values(line, found)
        event = self._event_name(found)
        self._event = _Unfinished(line.number, event, time_ns, cpu, values, READERS.get(event))
        if self._event.reader:
            self._finish(self._event)
        elif found["record"]:
            self._take_record(event, values)
        else:
            self.rows.count(event, time_ns, cpu, line.number)

    def _cpu_and_values(self, line: Line, found: re.Match[bytes]) -> tuple[int, bytes]:
        """Return the CPU of an event and its values, without the blanks that fill the columns of the event's name."""
        groups, values = found.groupdict(), line.content[found.end() :]
        if (event := groups["event"]) and len(event) + 1 < self._form.event_columns:
            filled = self._form.event_columns - len(event) - 1
            values = values[filled:] if not values[:filled].strip(b" ") else values
        return int(groups["cpu"] or groups["flagged_cpu"]), values

    def _event_name(self, found: re.Match[bytes]) -> str:
        """Return the name of an event with its subsystem, which perf prints and ftrace does not."""
        groups = found.groupdict()
        name = (groups["record"] or groups["event"] or groups["other"]).decode("utf-8", "backslashreplace")
        return f"sched:{name}" if f"sched:{name}" in READERS and self._form.event_columns else name

    def _take_record(self, kind: str, values: bytes) -> None:
        """Take a record of perf itself, which `--show-lost-events` and the like print."""
        if kind.startswith("PERF_RECORD_LOST") and (lost := _LOST.fullmatch(values)):
            self._notes.lost[kind] += int(lost[1])

    def _continue(self, event: _Unfinished, line: Line) -> None:
        event.text += b"\n" + line.content
        event.lines += 1
        if event.reader:
            self._finish(event)
        if event.lines > _MOST_LINES:
            self._end_event()

    def _finish(self, event: _Unfinished) -> None:
        """Add the event's row if its values are whole."""
        read = event.reader and event.reader.read(event.text)
        if event.reader and not read and has_escapes(event.text):
            read = event.reader.read(without_escapes(event.text))
        if event.reader and read:
            self.rows.count(event.event, event.time_ns, event.cpu, event.line)
            self.rows.add(event.reader.table, (event.time_ns, event.cpu, *read.row))
            self._event = None
            self.rows.merges_states = self.rows.merges_states or read.merges_states
            if read.rest.strip() and not _FUNCTION.fullmatch(read.rest):
                raise self._unreadable(event)

    def _note_cut(self) -> None:
        """Note, at the end of the text, where an event begins that has no end."""
        if self._event and self._event.reader:
            self._text.cut_at = self._event.line
        elif self._begun_name:
            self._text.cut_at = self._begun_name[0].number

    def _end_event(self) -> None:
        """Raise TraceError if the values of the last event are not whole."""
        event, self._event = self._event, None
        if event and event.reader:
            raise self._unreadable(event)

    def _take_rest(self, line: Line) -> None:
        """Take a line after the values of an event."""
        if self._form.event.search(line.content):
            raise self._no_line(line)
        if _FUNCTION.fullmatch(line.content) or self._notes.take(line.content):
            return
        self._begun_name.append(line)
        if sum(len(begun.content) + 1 for begun in self._begun_name) > _NAME_BYTES:
            raise self._no_line(self._begun_name[0])

    def _refuse_begun_name(self, rest: bytes) -> None:
        """Raise TraceError unless the lines before begin a name that ends with `rest`, which has the task's id, too."""
        if not self._begun_name:
            return
        lines, self._begun_name = self._begun_name, []
        if len(rest) > _MOST_BEFORE_CPU:
            raise self._no_line(lines[0])
        name = b"\n".join([*(line.content for line in lines), self._form.task_id.sub(b"", rest)])
        if len(name) > _NAME_BYTES:
            raise self._no_line(lines[0])

    def _unreadable(self, event: _Unfinished) -> TraceError:
        return TraceError(
            f"the values of {event.event} cannot be read: {event.text[:100]!r}",
            where=self._text.where(event.line),
            expected=f"them as `{self._form.name}` prints them",
            hint=f"print the text again, as it may be cut or changed here: {self._form.command}",
        )

    def _no_line(self, line: Line) -> TraceError:
        if self._form.event.search(line.content):
            return TraceError(
                "this line has no CPU or no time",
                where=self._text.where(line.number),
                expected=self._form.expected,
                hint=self._form.command,
            )
        return TraceError(
            f"this is no line of `{self._form.name}`: {line.content[:60]!r}",
            where=self._text.where(line.number),
            expected="an event with its task, CPU and time",
            hint=f"take it out, or print the text without `2>&1` and without other options: {self._form.command}",
        )

"""Reads the text of `perf sched map`, which is what KernelOracle was built on.

The text has a tag per task and CPU, the time to a microsecond, and `TAG => comm:tid` where a tag is new. A comm may
hold colons, spaces and newlines; the tid follows the last colon. The text has no states, no priorities and no wakeups,
so those columns are null. perf has tags for 260 tasks and then begins again: from there on a tag may mean either task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.errors import TraceError
from harness.trace.text.escapes import ESCAPE, has_escapes, without_escapes
from harness.trace.text.interruption import rejoined
from harness.trace.text.lines import Line, TextFile
from harness.trace.text.notes import Notes
from harness.trace.text.rows import Row, Rows, Tables
from harness.trace.text.script_events import name_text

_CELLS = re.compile(rb"  ((?:[ *](?:[A-Z.][0-9 ]|  ) )+) {0,10}([1-8]?\d{1,9})[.,](\d{6})")
_MARKS = rb"(?:" + ESCAPE + rb")*"
_NEW_TAG = rb"(?P<tag>[A-Z.][0-9]?) {0,2}=> (?P<comm>.{0,15}):(?P<tid>-?\d{1,9})"
_LEGEND = re.compile(  # with --compact a CPU is named where its column begins
    _MARKS + rb"(?:" + _NEW_TAG + rb")?" + _MARKS + rb"(?: ?\(CPU (?P<cpu>\d{1,4})\))?" + _MARKS,
    re.DOTALL,
)
_CELL = 4  # characters of a CPU's column: a star or a space, the tag, a space
_NAME_BYTES = 15  # a name may go on in the next line
_IDLE = (0, "swapper")


@dataclass
class _Legend:
    """What the text has introduced: the task of each tag, with its line, and with --compact the CPU of each column."""

    tasks: dict[bytes, tuple[int, str]] = field(default_factory=lambda: {b".": _IDLE})
    lines: dict[bytes, int] = field(default_factory=dict)
    cpus: dict[int, int] = field(default_factory=dict)


class SchedMapReader:
    """Reads a text into rows of switches."""

    def __init__(self, text: TextFile, notes: Notes) -> None:
        self.rows, self._text, self._notes = Rows(text), text, notes
        self._legend = _Legend()
        self._running: dict[int, tuple[int, str]] = {}
        self._unfinished: list[Line] = []  # a line whose name goes on in the next

    def read(self) -> Iterator[Tables]:
        """Yield switches, in the order of time. Raises TraceError for any other text."""
        for line in rejoined(self._text):
            self._take(line)
            for tables in self.rows.ready():
                yield self._with_previous(tables)
        if self._unfinished:
            self._text.cut_at = self._unfinished[0].number
        for tables in self.rows.rest():
            yield self._with_previous(tables)

    def _take(self, line: Line) -> None:
        if not self._unfinished and self._notes.take(line.content):
            return
        lines = [*self._unfinished, line]
        cells, word, legend = b"\n".join(part.content for part in lines).partition(b" secs")
        found = _CELLS.fullmatch(without_escapes(cells) if has_escapes(cells) else cells)
        if not word or not found:
            raise self._no_line(lines[0])
        introduced = _LEGEND.fullmatch(legend.strip())
        self._unfinished = [] if introduced else lines
        if introduced:
            self._add(lines[0], found, introduced)
        elif b"=> " not in legend or len(legend.partition(b"=> ")[2]) > _NAME_BYTES:
            raise self._no_line(lines[0])

    def _add(self, line: Line, found: re.Match[bytes], introduced: re.Match[bytes]) -> None:
        star = found[1].find(b"*")
        if star < 0 or star % _CELL:
            raise self._no_line(line)
        tag = found[1][star + 1 : star + 3].strip()
        if introduced["tag"]:
            self._define(introduced, line)
        if tag not in self._legend.tasks:
            raise TraceError(
                f"the tag {tag.decode()!r} was not introduced",
                where=self._text.where(line.number),
                expected="`TAG => comm:tid`, here or above",
                hint="give the text from its beginning",
            )
        time_ns, cpu = (int(found[2]) * 1_000_000 + int(found[3])) * 1000, self._cpu(star // _CELL, introduced, line)
        tid, comm = self._legend.tasks[tag]
        self.rows.count("sched:sched_switch", time_ns, cpu, line.number)
        self.rows.add("switches", (time_ns, cpu, None, None, None, None, comm, tid, None))

    def _define(self, introduced: re.Match[bytes], line: Line) -> None:
        tag, task = introduced["tag"], (int(introduced["tid"]), name_text(introduced["comm"]))
        known = self._legend.tasks.get(tag, task)
        if known[0] != task[0]:
            raise TraceError(
                f"from here on tags are ambiguous: {tag.decode()!r} stands for {_named(task)}, and for {_named(known)} "
                f"since line {self._legend.lines.get(tag, 1)}",
                where=self._text.where(line.number),
                expected="one task per tag; perf has tags for 260 tasks, then it begins again",
                hint="the recording itself is exact: `harness trace convert perf.data`; if there is only the text, "
                f"its begin is right: `head -n {line.number - 1}`",
            )
        self._legend.tasks[tag] = task
        self._legend.lines.setdefault(tag, line.number)

    def _cpu(self, column: int, introduced: re.Match[bytes], line: Line) -> int:
        cpus = self._legend.cpus
        if introduced["cpu"]:
            cpus[column] = int(introduced["cpu"])
        elif cpus and column not in cpus:
            raise TraceError(
                "this column's CPU is not named above",
                where=self._text.where(line.number),
                expected="`(CPU 0)` where a column begins, as --compact prints it",
                hint="give the text from its beginning",
            )
        return cpus.get(column, column)

    def _with_previous(self, tables: Tables) -> Tables:
        """Complete each switch by the task that the switch before it on its CPU switched to."""
        complete: list[Row] = []
        for time_ns, cpu, _, _, prio, state, comm, tid, next_prio in tables["switches"]:
            prev_tid, prev_comm = self._running.get(cpu, (None, None))
            complete.append((time_ns, cpu, prev_comm, prev_tid, prio, state, comm, tid, next_prio))
            self._running[cpu] = tid, comm
        return {**tables, "switches": complete}

    def _no_line(self, line: Line) -> TraceError:
        return TraceError(
            f"this is no line of `perf sched map`: {line.content[:60]!r}",
            where=self._text.where(line.number),
            expected="CPU columns with one star, a time, `secs`",
            hint="take the text as perf prints it, without `2>&1`",
        )


def _named(task: tuple[int, str]) -> str:
    return f"{task[1]}:{task[0]}"


def is_map_line(content: bytes) -> bool:
    """Whether a line is a switch of `perf sched map`."""
    cells, word, _ = without_escapes(content).partition(b" secs")
    return bool(word and _CELLS.fullmatch(cells))

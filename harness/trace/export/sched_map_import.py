"""Reads the text of `perf sched map`, which is what KernelOracle was built on.

The text has a tag per task and CPU, the time to a microsecond, and `TAG => comm:tid` where a tag is new. A comm may
hold colons, spaces and newlines; the tid follows the last colon. The text has no states, no priorities and no wakeups,
so those columns are null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from harness.errors import TraceError
from harness.trace.tables.columns import previous_in_group
from harness.trace.tables.schemas import SCHEMAS, dictionary_column
from harness.trace.tables.writer import TableWriter
from harness.trace.tracepoint.comm import to_text

_LINE = re.compile(rb"  ((?:[ *](?:[A-Z.][0-9 ]|  ) )+) {0,10}(\d{1,12})\.(\d{6}) secs (.*)", re.DOTALL)
_NEW_TAG = re.compile(rb"(\S{1,2}) {0,2}=> (.*):(-?\d{1,10})\n?", re.DOTALL)
_CELL = 4  # characters of a CPU's column: a star or a space, the tag, a space
_MAX_NAME_LINES = 16  # a name has at most 15 bytes, so at most 15 newlines


@dataclass(frozen=True)
class SchedMap:
    """The content of a text: a table with the columns of `switches`, and warnings about what the text lacks."""

    switches: pa.Table
    warnings: tuple[str, ...]


@dataclass
class _Rows:
    """The switches read so far, as columns; tags and names that are known."""

    times: list[int] = field(default_factory=list)
    cpus: list[int] = field(default_factory=list)
    tids: list[int] = field(default_factory=list)
    comms: list[int] = field(default_factory=list)  # numbers in `names`
    names: dict[bytes, int] = field(default_factory=lambda: {b"swapper": 0})
    tasks: dict[bytes, tuple[int, int]] = field(default_factory=lambda: {b".": (0, 0)})  # tag -> tid, name's number
    reused_tags: set[bytes] = field(default_factory=set)


def import_sched_map(text: Path | str, out_dir: Path | str) -> tuple[Path, SchedMap]:
    """Read a text and write its switches to `out_dir`/switches.parquet. Raises TraceError and HostError."""
    sched_map = read_sched_map(text)
    with TableWriter(Path(out_dir), "switches") as writer:
        writer.add(sched_map.switches)
    return writer.path, sched_map


def read_sched_map(path: Path | str) -> SchedMap:
    """Read a text that `perf sched map` printed. Raises TraceError, with the line, for any other text."""
    path, rows = Path(path), _Rows()
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise TraceError(f"cannot read the text: {error.strerror}", where=str(path)) from error
    index = 0
    while index < len(lines):
        line, used = _whole_line(lines, index)
        if line.strip():
            _read_line(line, rows, f"{path}:{index + 1}")
        index += used
    if not rows.times:
        raise TraceError("the text holds no switches", where=str(path), expected="the output of `perf sched map`")
    return SchedMap(_switches(rows), _warnings(rows))


def _whole_line(lines: list[bytes], index: int) -> tuple[bytes, int]:
    """Return the line at `index`, with the next ones if newlines in a name split it, and the number of lines."""
    line = lines[index]
    if b" => " not in line or _NEW_TAG.search(line):
        return line, 1
    for used in range(2, _MAX_NAME_LINES + 1):
        line = b"\n".join(lines[index : index + used])
        if _NEW_TAG.search(line):
            return line, used
    return lines[index], 1


def _read_line(line: bytes, rows: _Rows, where: str) -> None:
    parts = _LINE.fullmatch(line)
    star = parts[1].find(b"*") if parts else -1
    if not parts or star < 0 or star % _CELL:
        raise TraceError(
            f"this is no line of `perf sched map`: {line[:60]!r}",
            where=where,
            expected="CPU columns with one star, a time, `secs`",
            hint="take the text as perf prints it, without --compact",
        )
    tag = parts[1][star + 1 : star + 3].strip()
    if new_tag := _NEW_TAG.fullmatch(parts[4]):
        _define_tag(rows, new_tag, where)
    if tag not in rows.tasks:
        raise TraceError(f"the tag {tag.decode()!r} was not introduced", where=where, expected="`TAG => comm:tid`")
    tid, comm = rows.tasks[tag]
    rows.times.append((int(parts[2]) * 1_000_000 + int(parts[3])) * 1000)
    rows.cpus.append(star // _CELL)
    rows.tids.append(tid)
    rows.comms.append(comm)


def _define_tag(rows: _Rows, new_tag: re.Match[bytes], where: str) -> None:
    tag, comm, tid = new_tag[1], new_tag[2], int(new_tag[3])
    if tid > 0x7FFFFFFF:
        raise TraceError(f"the task id {tid} is too large", where=where, expected="at most 2147483647")
    if tag in rows.tasks and rows.tasks[tag][0] != tid:
        rows.reused_tags.add(tag)
    rows.tasks[tag] = (tid, rows.names.setdefault(comm, len(rows.names)))


def _switches(rows: _Rows) -> pa.Table:
    cpu, tid, comm = np.array(rows.cpus, np.int16), np.array(rows.tids, np.int32), np.array(rows.comms, np.int32)
    texts = [to_text(name) for name in rows.names]
    previous = previous_in_group(cpu)
    is_first = previous < 0
    prev_comm = dictionary_column(comm[np.maximum(previous, 0)], texts.__getitem__)
    columns = {
        "time_ns": pa.array(rows.times, pa.int64()),
        "cpu": pa.array(cpu),
        "prev_comm": pa.DictionaryArray.from_arrays(
            pa.array(prev_comm.indices.to_numpy(), pa.int32(), mask=is_first), prev_comm.dictionary
        ),
        "prev_tid": pa.array(tid[np.maximum(previous, 0)], mask=is_first),
        "next_comm": dictionary_column(comm, texts.__getitem__),
        "next_tid": pa.array(tid),
    }
    schema = SCHEMAS["switches"]
    return pa.Table.from_arrays([columns.get(f.name, pa.nulls(len(tid), f.type)) for f in schema], schema=schema)


def _warnings(rows: _Rows) -> tuple[str, ...]:
    notes = ["perf sched map has no states, priorities or wakeups, and its times end at the microsecond"]
    if rows.reused_tags:
        notes.append(
            f"{len(rows.reused_tags)} tags stand for more than one task each: with more than 260 tasks perf reuses "
            "them, and which task is meant is not certain"
        )
    return tuple(notes)

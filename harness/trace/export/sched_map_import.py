"""Reads the text of `perf sched map`, which is what KernelOracle was built on.

The text has a tag per task and CPU, the time to a microsecond, and `TAG => comm:tid` where a tag is new. A comm may
hold colons, spaces and newlines; the tid is what stands behind the last colon. There are no states, no priorities and
no wakeups in it, so those columns are null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from harness.errors import TraceError
from harness.trace.tables.schemas import SCHEMAS, dictionary_column
from harness.trace.tracepoint.comm import to_text

_LINE = re.compile(rb"  ((?:[ *](?:[A-Z.][0-9 ]|  ) )+) {0,10}(\d{1,12})\.(\d{6}) secs (.*)", re.DOTALL)
_NEW = re.compile(rb"(\S{1,2}) {0,2}=> (.*):(-?\d{1,10})\n?", re.DOTALL)
_CELL = 4  # characters of a CPU's column: a star or a space, the tag, a space
_MAX_NAME_LINES = 16  # a name has at most 15 bytes, so no more than 15 newlines


@dataclass(frozen=True)
class Imported:
    """The switches of a text, with the columns of `switches`, and what was odd about it."""

    switches: pa.Table
    warnings: tuple[str, ...]


@dataclass
class _State:
    tasks: dict[bytes, tuple[int, int]] = field(default_factory=lambda: {b".": (0, 0)})  # tag -> tid, name
    times: list[int] = field(default_factory=list)
    cpus: list[int] = field(default_factory=list)
    tids: list[int] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    reused: set[bytes] = field(default_factory=set)


def import_sched_map(path: Path | str) -> Imported:
    """Read a text that `perf sched map` printed. TraceError, with the line, where it is something else."""
    path = Path(path)
    try:
        found = path.read_bytes().split(b"\n")
    except OSError as error:
        raise TraceError(f"cannot read the text: {error.strerror}", where=str(path)) from error
    names, state = {b"swapper": 0}, _State()
    at = 0
    while at < len(found):
        line, used = _joined(found, at)
        if line.strip():
            _take(line, state, names, f"{path}:{at + 1}")
        at += used
    if not state.times:
        raise TraceError("the text holds no switches", where=str(path), expected="the output of `perf sched map`")
    return Imported(_table(state, [to_text(name) for name in names]), _warnings(state))


def _joined(found: list[bytes], at: int) -> tuple[bytes, int]:
    """The line at `at`, with the following ones where a name with newlines goes on in them, and how many they are."""
    line = found[at]
    if b" => " not in line or _NEW.search(line):
        return line, 1
    for used in range(2, _MAX_NAME_LINES + 1):
        line = b"\n".join(found[at : at + used])
        if _NEW.search(line):
            return line, used
    return found[at], 1


def _take(line: bytes, state: _State, names: dict[bytes, int], where: str) -> None:
    matched = _LINE.fullmatch(line)
    star = matched[1].find(b"*") if matched else -1
    if not matched or star < 0 or star % _CELL:
        raise TraceError(
            f"this is no line of `perf sched map`: {line[:60]!r}",
            where=where,
            expected="CPU columns with one star, a time, `secs`",
            hint="take the text as perf prints it, without --compact",
        )
    tag = matched[1][star + 1 : star + 3].strip()
    if new := _NEW.fullmatch(matched[4]):
        _define(state, names, new, where)
    if tag not in state.tasks:
        raise TraceError(f"the tag {tag.decode()!r} was not introduced", where=where, expected="`TAG => comm:tid`")
    tid, name = state.tasks[tag]
    state.times.append((int(matched[2]) * 1_000_000 + int(matched[3])) * 1000)
    state.cpus.append(star // _CELL)
    state.tids.append(tid)
    state.names.append(name)


def _define(state: _State, names: dict[bytes, int], new: re.Match[bytes], where: str) -> None:
    tid = int(new[3])
    if tid > 0x7FFFFFFF:
        raise TraceError(f"the task id {tid} is too large", where=where, expected="at most 2147483647")
    if new[1] in state.tasks and state.tasks[new[1]][0] != tid:
        state.reused.add(new[1])
    state.tasks[new[1]] = (tid, names.setdefault(new[2], len(names)))


def _table(state: _State, texts: list[str]) -> pa.Table:
    cpu, tid = np.array(state.cpus, np.int16), np.array(state.tids, np.int32)
    name, rows = np.array(state.names, np.int32), len(state.tids)
    before = _previous(cpu)
    known = before >= 0
    prev_comm = dictionary_column(name[np.maximum(before, 0)], texts.__getitem__)
    columns = {
        "time_ns": pa.array(state.times, pa.int64()),
        "cpu": pa.array(cpu),
        "prev_comm": pa.DictionaryArray.from_arrays(
            pa.array(prev_comm.indices.to_numpy(), pa.int32(), mask=~known), prev_comm.dictionary
        ),
        "prev_tid": pa.array(tid[np.maximum(before, 0)], mask=~known),
        "next_comm": dictionary_column(name, texts.__getitem__),
        "next_tid": pa.array(tid),
    }
    schema = SCHEMAS["switches"]
    return pa.Table.from_arrays([columns.get(f.name, pa.nulls(rows, f.type)) for f in schema], schema=schema)


def _previous(cpu: np.ndarray) -> np.ndarray:
    """For each row the row before it on the same CPU, or -1."""
    order = np.argsort(cpu, kind="stable")
    before = np.full(len(cpu), -1, np.int64)
    same = cpu[order][1:] == cpu[order][:-1]
    before[order[1:]] = np.where(same, order[:-1], -1)
    return before


def _warnings(state: _State) -> tuple[str, ...]:
    notes = ["perf sched map has no states, priorities or wakeups, and its times end at the microsecond"]
    if state.reused:
        notes.append(
            f"{len(state.reused)} tags stand for more than one task each: with more than 260 tasks perf reuses "
            "them, and which task is meant is not certain"
        )
    return tuple(notes)

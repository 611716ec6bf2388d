"""One recording's slices as columns: read from Parquet in order and in chunks, so that it need not fit into memory.

Who ran is a number, given out in the order of first appearance; what that one is called is up to the kind of marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data import parquet
from model.data.disk_column import ROWS, Spool, parts

STATES = ("R", "R+", "S", "D", "I", "T", "t", "X", "Z", "P", "?")
TYPES = {
    "cpu": np.int16,
    "tid": np.int32,
    "prio": np.int16,
    "start_ns": np.int64,
    "slice_ns": np.int64,
    "end_state": np.int8,
    "wake_ns": np.int64,
    "contested": np.bool_,
    "who": np.int32,
    "runnable_count": np.int32,
    "runnable_tid": np.int32,
}


@dataclass(frozen=True)
class Recording:
    """`column` has an entry per name in TYPES, (n,) each but for `runnable_tid`, which is as long as the counts say.

    comm, tid: of each of those that ran. called: under which names each thread ran, and from when on.
    """

    folder: Path
    column: dict[str, np.ndarray]
    comm: list[str]
    tid: list[int]
    called: Called

    def __len__(self) -> int:
        return len(self.column["who"])

    def who_until(self, end: int) -> np.ndarray:
        """The numbers of those that ran in the first `end` slices."""
        seen = np.zeros(len(self.comm), bool)
        for part in parts(end):
            seen[self.column["who"][part]] = True
        return np.flatnonzero(seen)


@dataclass(frozen=True)
class Called:
    """Points at which a thread runs under another name than before, its first slice included."""

    tid: np.ndarray  # (tids,) sorted
    key: np.ndarray  # int64 (points,), sorted: number of the tid * slices + row
    who: np.ndarray  # (points,)
    slices: int

    def at(self, row: np.ndarray, tid: np.ndarray) -> np.ndarray:
        """(n,) as whom each tid ran last before its row; its first where it never had; -1 where it never does."""
        number = np.minimum(np.searchsorted(self.tid, tid), len(self.tid) - 1).astype(np.int64)
        begin = np.searchsorted(self.key, number * self.slices)
        last = np.searchsorted(self.key, number * self.slices + row) - 1
        return np.where(self.tid[number] == tid, self.who[np.maximum(begin, last)], -1)


def read(folder: Path, rows: int = ROWS) -> Recording:
    """The slices of the recording in `folder`, `rows` at a time. Raises TableError, or StreamError (no room on disk).

    A table that is not in the order of time is first sorted in memory, as a whole.
    """
    spools, naming = {name: Spool(dtype) for name, dtype in TYPES.items()}, _Naming()
    for table in _chunks(folder, rows):
        for name, values in _columns(table, naming).items():
            spools[name].append(values)
    column = {name: spool.whole() for name, spool in spools.items()}
    return Recording(Path(folder), column, naming.comm, naming.tid, naming.called())


def runnable_as(recording: Recording, rows: int = ROWS) -> np.ndarray:
    """(m,) int32 as whom each of `runnable_tid` is known when it is listed; -1 for one that never ran."""
    count, spool, begin = recording.column["runnable_count"], Spool(np.int32), 0
    for part in parts(len(recording), rows):
        row = np.repeat(np.arange(part.start, part.stop), count[part])
        spool.append(recording.called.at(row, recording.column["runnable_tid"][begin : begin + len(row)]))
        begin += len(row)
    return spool.whole()


def _chunks(folder: Path, rows: int) -> Iterator[pa.Table]:
    """Slices that ended, in the order of time and then of CPUs."""
    if _in_order(folder, rows):
        chunks = parquet.chunks(folder, "slices", rows)
    else:
        whole = parquet.read(folder, "slices").sort_by([("start_ns", "ascending"), ("cpu", "ascending")])
        chunks = (whole.slice(part.start, rows) for part in parts(len(whole), rows))
    for table in chunks:
        yield table.filter(pc.is_valid(table["slice_ns"]))


def _in_order(folder: Path, rows: int) -> bool:
    last = (-(2**63), -1)
    for table in parquet.chunks(folder, "slices", rows, ("start_ns", "cpu")):
        start, cpu = (table[name].to_numpy().astype(np.int64) for name in ("start_ns", "cpu"))
        start, cpu = np.insert(start, 0, last[0]), np.insert(cpu, 0, last[1])
        later = start[1:] > start[:-1]
        if not (later | ((start[1:] == start[:-1]) & (cpu[1:] >= cpu[:-1]))).all():
            return False
        last = int(start[-1]), int(cpu[-1])
    return True


def _columns(table: pa.Table, naming: _Naming) -> dict[str, np.ndarray]:
    lists, plain = table["runnable"].combine_chunks(), ("cpu", "tid", "prio", "start_ns", "slice_ns")
    states, state = parquet.coded(table, "end_state")
    codes = np.array([STATES.index(text if text in STATES else "?") for text in states], np.int8)
    return {
        **{name: table[name].to_numpy() for name in plain},
        "end_state": codes[state],
        "wake_ns": pc.fill_null(table["wake_ns"], -1).to_numpy(),
        "contested": pc.fill_null(table["contested"], False).to_numpy(zero_copy_only=False),
        "who": naming.numbers(*parquet.coded(table, "comm"), table["tid"].to_numpy()),
        "runnable_count": pc.fill_null(pc.list_value_length(lists), 0).to_numpy(),
        "runnable_tid": pc.list_flatten(lists).to_numpy(),
    }


class _Naming:
    """Numbers those that run, and writes down when a thread changes its name."""

    def __init__(self) -> None:
        self.comm: list[str] = []
        self.tid: list[int] = []
        self._number: dict[tuple[str, int], int] = {}
        self._last: dict[int, int] = {}  # who each tid was last
        self._points: list[np.ndarray] = []  # (3, points) each: tid, row, who
        self._rows = 0

    def numbers(self, comms: list[str], comm: np.ndarray, tid: np.ndarray) -> np.ndarray:
        """(n,) the number of whom each of the next slices is of; `comm` are places in `comms`."""
        pair = comm.astype(np.int64) << 32 | tid.astype(np.int64) + 2**31
        unique, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
        number = np.zeros(len(unique), np.int32)
        for place in np.argsort(first):
            number[place] = self._known(comms[unique[place] >> 32], int((unique[place] & 0xFFFFFFFF) - 2**31))
        who = number[inverse]
        self._note(tid, who)
        self._rows += len(who)
        return who

    def called(self) -> Called:
        """What was written down, to be asked for."""
        tid, row, who = np.concatenate([np.zeros((3, 0), np.int64), *self._points], axis=1)
        tids, number = np.unique(tid, return_inverse=True)
        key = number * self._rows + row
        order = np.argsort(key)
        return Called(tids, key[order], who[order], self._rows)

    def _known(self, comm: str, tid: int) -> int:
        number = self._number.setdefault((comm, tid), len(self._number))
        if number == len(self.comm):
            self.comm.append(comm)
            self.tid.append(tid)
        return number

    def _note(self, tid: np.ndarray, who: np.ndarray) -> None:
        order = np.argsort(tid, kind="stable")
        tids, begin = np.unique(tid[order], return_index=True)
        now = who[order]
        before = np.concatenate([[-1], now[:-1]])[: len(now)]
        before[begin] = [self._last.get(int(one), -1) for one in tids]
        changed = now != before
        self._points.append(np.stack([tid[order], order + self._rows, now])[:, changed].astype(np.int64))
        ends = np.append(begin[1:], len(now)) - 1
        self._last.update(zip(tids.tolist(), now[ends].tolist(), strict=True))

"""The slices of one recording as columns, read from Parquet in time order and in chunks, so that memory may be small.

A task is a number here, in the order of first appearance. The kind of marks decides later what it is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data import parquet
from model.data.disk_column import ROWS, DiskColumn, row_slices

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
    "task": np.int32,
    "runnable_count": np.int32,
    "runnable_tid": np.int32,
}


@dataclass(frozen=True)
class SliceColumns:
    """`columns` has an array per name in TYPES, each (n,) but `runnable_tid`, whose length is the sum of the counts.

    `comm` and `tid` are those of each task. `names` gives the task of a thread at a given row.
    """

    folder: Path
    columns: dict[str, np.ndarray]
    comm: list[str]
    tid: list[int]
    names: NameTimeline

    def __len__(self) -> int:
        return len(self.columns["task"])

    def tasks_until(self, end: int) -> np.ndarray:
        """Return the numbers of the tasks that ran in the first `end` slices, sorted."""
        ran = np.zeros(len(self.comm), bool)
        for part in row_slices(end):
            ran[self.columns["task"][part]] = True
        return np.flatnonzero(ran)


@dataclass(frozen=True)
class NameTimeline:
    """The rows at which a thread runs under a new name, and so as a new task; its first slice is one of them."""

    tid: np.ndarray  # (tids,) sorted
    key: np.ndarray  # int64 (changes,), sorted: index of the tid * slices + row
    task: np.ndarray  # (changes,)
    slices: int

    def task_at(self, row: np.ndarray, tid: np.ndarray) -> np.ndarray:
        """Return (n,) the last task of each tid before its row, else its first one; -1 for a tid that never runs."""
        index = np.minimum(np.searchsorted(self.tid, tid), len(self.tid) - 1).astype(np.int64)
        begin = np.searchsorted(self.key, index * self.slices)
        last = np.searchsorted(self.key, index * self.slices + row) - 1
        return np.where(self.tid[index] == tid, self.task[np.maximum(begin, last)], -1)


def read(folder: Path, rows: int = ROWS) -> SliceColumns:
    """Read the slices of the recording in `folder`, `rows` at a time. Raises TableError, or StreamError (disk full).

    A table that is not in time order is first sorted in memory, as a whole.
    """
    growing, tasks = {name: DiskColumn(dtype) for name, dtype in TYPES.items()}, _Tasks()
    for table in _chunks(folder, rows):
        for name, values in _columns(table, tasks).items():
            growing[name].append(values)
    columns = {name: column.whole() for name, column in growing.items()}
    return SliceColumns(Path(folder), columns, tasks.comm, tasks.tid, tasks.timeline())


def runnable_tasks(slices: SliceColumns, rows: int = ROWS) -> np.ndarray:
    """Return (m,) int32 the task of each entry of `runnable_tid` at its switch; -1 for a tid that never runs."""
    count, tasks, begin = slices.columns["runnable_count"], DiskColumn(np.int32), 0
    for part in row_slices(len(slices), rows):
        row = np.repeat(np.arange(part.start, part.stop), count[part])
        tasks.append(slices.names.task_at(row, slices.columns["runnable_tid"][begin : begin + len(row)]))
        begin += len(row)
    return tasks.whole()


def _chunks(folder: Path, rows: int) -> Iterator[pa.Table]:
    """Yield the slices that ended, ordered by time and CPU."""
    if _in_time_order(folder, rows):
        chunks = parquet.chunks(folder, "slices", rows)
    else:
        whole = parquet.read(folder, "slices").sort_by([("start_ns", "ascending"), ("cpu", "ascending")])
        chunks = (whole.slice(part.start, rows) for part in row_slices(len(whole), rows))
    for table in chunks:
        yield table.filter(pc.is_valid(table["slice_ns"]))


def _in_time_order(folder: Path, rows: int) -> bool:
    last = (-(2**63), -1)
    for table in parquet.chunks(folder, "slices", rows, ("start_ns", "cpu")):
        start, cpu = (table[name].to_numpy().astype(np.int64) for name in ("start_ns", "cpu"))
        start, cpu = np.insert(start, 0, last[0]), np.insert(cpu, 0, last[1])
        later = start[1:] > start[:-1]
        if not (later | ((start[1:] == start[:-1]) & (cpu[1:] >= cpu[:-1]))).all():
            return False
        last = int(start[-1]), int(cpu[-1])
    return True


def _columns(table: pa.Table, tasks: _Tasks) -> dict[str, np.ndarray]:
    lists, plain = table["runnable"].combine_chunks(), ("cpu", "tid", "prio", "start_ns", "slice_ns")
    states, state = parquet.coded(table, "end_state")
    codes = np.array([STATES.index(text if text in STATES else "?") for text in states], np.int8)
    return {
        **{name: table[name].to_numpy() for name in plain},
        "end_state": codes[state],
        "wake_ns": pc.fill_null(table["wake_ns"], -1).to_numpy(),
        "contested": pc.fill_null(table["contested"], False).to_numpy(zero_copy_only=False),
        "task": tasks.number(*parquet.coded(table, "comm"), table["tid"].to_numpy()),
        "runnable_count": pc.fill_null(pc.list_value_length(lists), 0).to_numpy(),
        "runnable_tid": pc.list_flatten(lists).to_numpy(),
    }


class _Tasks:
    """Numbers the tasks, and notes at which row a thread runs as another one."""

    def __init__(self) -> None:
        self.comm: list[str] = []
        self.tid: list[int] = []
        self._number: dict[tuple[str, int], int] = {}
        self._last: dict[int, int] = {}  # the task that each tid ran as last
        self._changes: list[np.ndarray] = []  # (3, changes) each: tid, row, task
        self._rows = 0

    def number(self, comms: list[str], comm: np.ndarray, tid: np.ndarray) -> np.ndarray:
        """Return (n,) the tasks of the next slices; `comm` are indices into `comms`."""
        pair = comm.astype(np.int64) << 32 | tid.astype(np.int64) + 2**31
        unique, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
        numbers = np.zeros(len(unique), np.int32)
        for index in np.argsort(first):
            numbers[index] = self._known(comms[unique[index] >> 32], int((unique[index] & 0xFFFFFFFF) - 2**31))
        task = numbers[inverse]
        self._note_changes(tid, task)
        self._rows += len(task)
        return task

    def timeline(self) -> NameTimeline:
        """Return the changes noted so far."""
        tid, row, task = np.concatenate([np.zeros((3, 0), np.int64), *self._changes], axis=1)
        tids, index = np.unique(tid, return_inverse=True)
        key = index * self._rows + row
        order = np.argsort(key)
        return NameTimeline(tids, key[order], task[order], self._rows)

    def _known(self, comm: str, tid: int) -> int:
        number = self._number.setdefault((comm, tid), len(self._number))
        if number == len(self.comm):
            self.comm.append(comm)
            self.tid.append(tid)
        return number

    def _note_changes(self, tid: np.ndarray, task: np.ndarray) -> None:
        order = np.argsort(tid, kind="stable")
        tids, begin = np.unique(tid[order], return_index=True)
        now = task[order]
        before = np.concatenate([[-1], now[:-1]])[: len(now)]
        before[begin] = [self._last.get(int(tid), -1) for tid in tids]
        changed = now != before
        self._changes.append(np.stack([tid[order], order + self._rows, now])[:, changed].astype(np.int64))
        ends = np.append(begin[1:], len(now)) - 1
        self._last.update(zip(tids.tolist(), now[ends].tolist(), strict=True))

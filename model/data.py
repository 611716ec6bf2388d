"""Tables -> per-CPU streams of events, cut in time into train, validation and test.

Event i of a stream is slice i on that CPU: the task that was switched in (the mark), and how long it stayed (dt). A
predictor of event i may use all of events 0..i-1, slice i-1 being over by then, and in the `runqueue` regime also who
was runnable at `start_ns[i]`. The density of dt is asked for given the event's own mark.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model import tables
from model.errors import SettingError, StreamError
from model.marks import UNKNOWN, Vocabulary, name_events

SHORTEST = 100  # events; below this a 15 % test part is a dozen events and says nothing
STATES = ("R", "R+", "S", "D", "I", "T", "t", "X", "Z", "P", "?")
_STATE_CODE = {state: code for code, state in enumerate(STATES)}


@dataclass(frozen=True)
class Stream:
    """The events of one CPU in one recording, in time order; every array is (n,) unless said otherwise."""

    recording: str
    folder: Path
    cpu: int
    mark: np.ndarray  # int32, index into the vocabulary
    tid: np.ndarray  # int32
    prio: np.ndarray  # int16, the kernel's own scale: below 100 real-time, 120 a nice of 0
    start_ns: np.ndarray  # int64
    slice_ns: np.ndarray  # int64
    end_state: np.ndarray  # int8, index into STATES; why the slice ended
    wake_ns: np.ndarray  # int64, -1 where the task had been preempted
    contested: np.ndarray  # bool
    runnable_at: np.ndarray  # int64 (n + 1,), where event i's entries begin in the next two
    runnable_tid: np.ndarray  # int32 (m,)
    runnable_mark: np.ndarray  # int32 (m,)

    def __len__(self) -> int:
        return len(self.mark)

    def runnable(self, event: int) -> np.ndarray:
        """The tids that could have been picked at `event`."""
        return self.runnable_tid[self.runnable_at[event] : self.runnable_at[event + 1]]

    def slice_us(self) -> np.ndarray:
        """(n,) float64 slice lengths in microseconds, at least one nanosecond, so that their log exists."""
        return np.maximum(self.slice_ns, 1) / 1e3


@dataclass(frozen=True)
class Segment:
    """Events start..stop-1 of a stream; the events before `start` may be looked back at, but are not part of it."""

    stream: Stream
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def of(self, column: np.ndarray) -> np.ndarray:
        """The part of a stream's column that belongs to this segment."""
        return column[self.start : self.stop]


@dataclass(frozen=True)
class Dataset:
    """Streams cut into three parts, and the vocabulary of the first."""

    mark: str
    vocabulary: Vocabulary
    train: tuple[Segment, ...]
    valid: tuple[Segment, ...]
    test: tuple[Segment, ...]
    recordings: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Recording:
    folder: Path
    table: pa.Table  # sorted by time
    names: list[str]  # the mark of each row
    cuts_ns: tuple[int, int]  # when the train part ends, when the validation part ends


def load(folders: Sequence[Path], mark: str = "task", split: Sequence[float] = (0.7, 0.15, 0.15)) -> Dataset:
    """Read the recordings in `folders` and cut each one in time.

    The cut is one instant for all CPUs of a recording, so that no CPU's train part lies in another's future.
    Raises TableError, StreamError (empty, too short, one task only) or SettingError (mark, split).
    """
    if not folders:
        raise StreamError("no recordings: expected at least one folder with a slices table")
    _check_split(split)
    recordings = [_read(Path(folder), mark, split) for folder in folders]
    vocabulary = Vocabulary.of(name for recording in recordings for name in _train_names(recording))
    parts: list[list[Segment]] = [[], [], []]
    for recording in recordings:
        for stream in _streams(recording, vocabulary):
            for part, segment in zip(parts, _cut(stream, recording.cuts_ns), strict=True):
                part.append(segment)
    train, valid, test = (tuple(segment for segment in part if len(segment)) for part in parts)
    return Dataset(mark, vocabulary, train, valid, test, tuple(recording.folder.name for recording in recordings))


def across(train: Sequence[Path], test: Sequence[Path], mark: str = "task", valid: float = 0.15) -> Dataset:
    """Learn from some recordings and be tested on others, whole: another trial, another load, another host.

    The last `valid` share of each recording learned from is held out for validation; nothing of the others is seen.
    """
    shared = {Path(folder).resolve() for folder in train} & {Path(folder).resolve() for folder in test}
    if shared or not train or not test:
        told = f"{min(shared)} is both learned from and tested on" if shared else "one of the two sides is empty"
        raise SettingError(f"{told}: expected recordings to learn from, and others to be tested on")
    if not 0 < valid < 1:
        raise SettingError(f"validation share {valid}: expected more than 0 and less than 1")
    known = [_read(Path(folder), mark, (1 - valid, valid / 2, valid / 2)) for folder in train]
    vocabulary = Vocabulary.of(name for recording in known for name in _train_names(recording))
    parts: list[list[Segment]] = [[], []]
    for recording in known:
        for stream in _streams(recording, vocabulary):
            end = int(np.searchsorted(stream.start_ns, recording.cuts_ns[0]))
            parts[0].append(Segment(stream, 0, end))
            parts[1].append(Segment(stream, end, len(stream)))
    others = [
        Segment(stream, 0, len(stream)) for stream in streams([Path(folder) for folder in test], mark, vocabulary)
    ]
    learned, held_out = (tuple(segment for segment in part if len(segment)) for part in parts)
    return Dataset(mark, vocabulary, learned, held_out, tuple(others), tuple(Path(f).name for f in (*train, *test)))


def streams(folders: Sequence[Path], mark: str, vocabulary: Vocabulary) -> list[Stream]:
    """Whole recordings, uncut, in the marks of a vocabulary that was made elsewhere."""
    recordings = [_read(folder, mark, (0.7, 0.15, 0.15)) for folder in folders]
    return [stream for recording in recordings for stream in _streams(recording, vocabulary)]


def _check_split(split: Sequence[float]) -> None:
    if len(split) != 3 or min(split) <= 0 or abs(sum(split) - 1) > 1e-6:
        raise SettingError(f"split {list(split)}: expected three positive shares that add up to 1, as 0.7, 0.15, 0.15")


def _read(folder: Path, mark: str, split: Sequence[float]) -> _Recording:
    table = tables.read(folder, "slices")
    table = table.filter(pc.is_valid(table["slice_ns"])).sort_by([("start_ns", "ascending"), ("cpu", "ascending")])
    if len(table) < SHORTEST:
        raise StreamError(
            f"{folder}: {len(table)} slices: expected at least {SHORTEST}; record longer or a busier load"
        )
    names = name_events(mark, tables.texts(table, "comm"), table["tid"].to_pylist())
    times = table["start_ns"].to_numpy()
    first, second = (int(len(times) * share) for share in (split[0], split[0] + split[1]))
    return _Recording(folder, table, names, (int(times[first]), int(times[second])))


def _train_names(recording: _Recording) -> list[str]:
    end = int(np.searchsorted(recording.table["start_ns"].to_numpy(), recording.cuts_ns[0]))
    return recording.names[:end]


def _cut(stream: Stream, cuts_ns: tuple[int, int]) -> list[Segment]:
    first, second = np.searchsorted(stream.start_ns, cuts_ns)
    bounds = [0, int(first), int(second), len(stream)]
    return [Segment(stream, start, stop) for start, stop in itertools.pairwise(bounds)]


def _streams(recording: _Recording, vocabulary: Vocabulary) -> list[Stream]:
    table = recording.table.append_column("mark", pa.array(vocabulary.encode(recording.names)))
    called, cpus = _Names.of(table), table["cpu"].to_numpy()
    return [_stream(recording.folder, int(cpu), table, np.flatnonzero(cpus == cpu), called) for cpu in np.unique(cpus)]


def _stream(folder: Path, cpu: int, whole: pa.Table, rows: np.ndarray, called: _Names) -> Stream:
    """The stream of one CPU, whose slices are `rows` of its recording's."""
    table = whole.take(pa.array(rows))
    columns = {name: table[name].to_numpy() for name in ("mark", "tid", "prio", "start_ns", "slice_ns")}
    lists = table["runnable"].combine_chunks()
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    runnable_tid = pc.list_flatten(lists).to_numpy().astype(np.int32)
    states = tables.texts(table, "end_state")
    return Stream(
        recording=folder.name,
        folder=folder,
        cpu=cpu,
        **columns,
        end_state=np.array([_STATE_CODE.get(state, len(STATES) - 1) for state in states], np.int8),
        wake_ns=pc.fill_null(table["wake_ns"], -1).to_numpy(),
        contested=pc.fill_null(table["contested"], False).to_numpy(zero_copy_only=False),
        runnable_at=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        runnable_tid=runnable_tid,
        runnable_mark=called.at(np.repeat(rows, counts), runnable_tid),
    )


@dataclass(frozen=True)
class _Names:
    """Under which mark each tid ran in each slice of a recording; the run queue knows its tasks by name."""

    tid: np.ndarray  # (tids,) sorted
    key: np.ndarray  # int64 (slices,), sorted: number of the tid * slices + row
    mark: np.ndarray  # (slices,) in the order of `key`

    @classmethod
    def of(cls, table: pa.Table) -> _Names:
        """From slices in the order of time."""
        tids, number = np.unique(table["tid"].to_numpy(), return_inverse=True)
        key = number.astype(np.int64) * len(table) + np.arange(len(table))
        order = np.argsort(key)
        return cls(tids, key[order], table["mark"].to_numpy()[order])

    def at(self, row: np.ndarray, tid: np.ndarray) -> np.ndarray:
        """(n,) mark under which each tid ran last before its row; its first where it never had; or UNKNOWN."""
        number = np.minimum(np.searchsorted(self.tid, tid), len(self.tid) - 1)
        begin = np.searchsorted(self.key, number.astype(np.int64) * len(self.key))
        last = np.searchsorted(self.key, number.astype(np.int64) * len(self.key) + row) - 1
        return np.where(self.tid[number] == tid, self.mark[np.maximum(begin, last)], UNKNOWN).astype(np.int32)

"""Tables -> per-CPU streams of events, cut in time into train, validation and test.

Event i of a stream is slice i on that CPU: the task that was switched in (the mark), and how long it stayed (dt). A
predictor of event i may use all of events 0..i-1, whose slices are over by then. With the inputs `runqueue` it may also
use the tasks that were runnable at `start_ns[i]`. The density of dt is conditional on the event's own mark.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.data import clocks
from model.data.disk_column import ROWS, DiskColumn, column_of_parts, row_slices
from model.data.marks import UNKNOWN, Vocabulary, name_events
from model.data.slice_columns import STATES as STATES
from model.data.slice_columns import SliceColumns, read, runnable_tasks
from model.errors import SettingError, StreamError

SHORTEST = 100  # events; below this a 15 % test part is a dozen events and says nothing


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
        """Return the tids that could have been picked at `event`."""
        return self.runnable_tid[self.runnable_at[event] : self.runnable_at[event + 1]]

    def slice_us(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return (n,) slice lengths of events start..stop-1 in microseconds, at least one ns, for their log.

        All of them are in memory at once, unlike the columns.
        """
        return np.maximum(self.slice_ns[start:stop], 1) / 1e3


@dataclass(frozen=True)
class Segment:
    """Events start..stop-1 of a stream. The events before `start` are history, and not part of it."""

    stream: Stream
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def of(self, column: np.ndarray) -> np.ndarray:
        """Return the part of a stream's column that belongs to this segment."""
        return column[self.start : self.stop]

    def slice_us(self) -> np.ndarray:
        """Return (n,) slice lengths of its events in microseconds."""
        return self.stream.slice_us(self.start, self.stop)

    def parts(self, events: int = ROWS) -> list[Segment]:
        """Cut it into segments of at most `events` events."""
        rows = row_slices(len(self), events)
        return [Segment(self.stream, self.start + part.start, self.start + part.stop) for part in rows]


@dataclass(frozen=True)
class Dataset:
    """Streams cut into three parts, and the vocabulary of the train part."""

    mark: str
    vocabulary: Vocabulary
    train: tuple[Segment, ...]
    valid: tuple[Segment, ...]
    test: tuple[Segment, ...]
    recordings: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _CutRecording:
    """A recording, the mark of each task in it, and the times at which it is cut; the train part ends at the first."""

    slices: SliceColumns
    marks: list[str]
    cuts_ns: tuple[int, ...]

    def train_marks(self) -> list[str]:
        """Return the marks that occur in the train part."""
        end = int(np.searchsorted(self.slices.columns["start_ns"], self.cuts_ns[0]))
        return [self.marks[task] for task in self.slices.tasks_until(end)]


def load(
    folders: Sequence[Path], mark: str = "task", split: Sequence[float] = (0.7, 0.15, 0.15), rows: int = ROWS
) -> Dataset:
    """Read the recordings in `folders`, `rows` slices at a time, and cut each into train, validation and test.

    All CPUs of a recording are cut at the same instant, so that no CPU's train part lies in another's future.
    Raises TableError, StreamError (empty, too short, one task only, several clocks) or SettingError (mark, split).
    """
    if not folders:
        raise StreamError("no recordings: expected at least one folder with a slices table")
    clocks.one_clock(folders)
    _check_split(split)
    shares = split[0], split[0] + split[1]
    vocabulary, (train, valid, test) = _cut([_read(Path(folder), mark, shares, rows) for folder in folders], rows)
    return Dataset(mark, vocabulary, train, valid, test, tuple(Path(folder).name for folder in folders))


def across(train: Sequence[Path], test: Sequence[Path], mark: str = "task", valid: float = 0.15) -> Dataset:
    """Read recordings to train on, and others to test on as a whole, such as another trial, load or host.

    The last `valid` share of each recording in `train` is the validation part. Raises what `load` does.
    """
    require_disjoint(train, test)
    for side in (train, test):
        clocks.one_clock(side)
    if not 0 < valid < 1:
        raise SettingError(f"validation share {valid}: expected more than 0 and less than 1")
    recordings = [_read(Path(folder), mark, (1 - valid,), ROWS) for folder in train]
    vocabulary, (train_segments, valid_segments) = _cut(recordings, ROWS)
    test_streams = streams(list(map(Path, test)), mark, vocabulary)
    test_segments = tuple(Segment(stream, 0, len(stream)) for stream in test_streams)
    names = tuple(Path(folder).name for folder in (*train, *test))
    return Dataset(mark, vocabulary, train_segments, valid_segments, test_segments, names)


def require_disjoint(train: Sequence[Path], test: Sequence[Path]) -> None:
    """Raise SettingError if a recording is on both sides, or a side is empty."""
    shared = {Path(folder).resolve() for folder in train} & {Path(folder).resolve() for folder in test}
    if shared or not train or not test:
        problem = f"{min(shared)} is both learned from and tested on" if shared else "one of the two sides is empty"
        raise SettingError(f"{problem}: expected recordings to learn from, and others to be tested on")


def streams(folders: Sequence[Path], mark: str, vocabulary: Vocabulary) -> list[Stream]:
    """Read whole recordings, uncut, with the marks of an existing vocabulary."""
    recordings = [_read(folder, mark, (), ROWS) for folder in folders]
    return [stream for recording in recordings for stream in _streams(recording, vocabulary, ROWS)]


def _check_split(split: Sequence[float]) -> None:
    if len(split) != 3 or min(split) <= 0 or abs(sum(split) - 1) > 1e-6:
        raise SettingError(f"split {list(split)}: expected three positive shares that add up to 1, as 0.7, 0.15, 0.15")


def _read(folder: Path, mark: str, shares: Sequence[float], rows: int) -> _CutRecording:
    """Read a recording, to be cut where each of these shares of its slices has begun."""
    slices = read(folder, rows)
    if len(slices) < SHORTEST:
        raise StreamError(
            f"{folder}: {len(slices)} slices: expected at least {SHORTEST}; record longer or a busier load"
        )
    marks = name_events(mark, slices.comm, slices.tid)  # in the order of first appearance, as event by event
    times = slices.columns["start_ns"]
    return _CutRecording(slices, marks, tuple(int(times[int(len(times) * share)]) for share in shares))


def _cut(recordings: Sequence[_CutRecording], rows: int) -> tuple[Vocabulary, list[tuple[Segment, ...]]]:
    """Return the vocabulary of the train part, and the segments of each part, without empty ones."""
    vocabulary = Vocabulary.of(name for recording in recordings for name in recording.train_marks())
    uncut = [(stream, each.cuts_ns) for each in recordings for stream in _streams(each, vocabulary, rows)]
    parts = zip(*(_segments(stream, cuts_ns) for stream, cuts_ns in uncut), strict=True)
    return vocabulary, [tuple(segment for segment in part if len(segment)) for part in parts]


def _segments(stream: Stream, cuts_ns: tuple[int, ...]) -> list[Segment]:
    bounds = [0, *np.searchsorted(stream.start_ns, cuts_ns).tolist(), len(stream)]
    return [Segment(stream, start, stop) for start, stop in itertools.pairwise(bounds)]


def _streams(recording: _CutRecording, vocabulary: Vocabulary, rows: int) -> list[Stream]:
    columns, code = dict(recording.slices.columns), np.append(vocabulary.encode(recording.marks), UNKNOWN)
    task, runnable = columns.pop("task"), runnable_tasks(recording.slices, rows)
    columns["mark"] = column_of_parts(len(task), np.int32, lambda part: code[task[part]], rows)
    columns["runnable_mark"] = column_of_parts(len(runnable), np.int32, lambda part: code[runnable[part]], rows)
    cpus = sorted({int(cpu) for part in row_slices(len(task), rows) for cpu in np.unique(columns["cpu"][part])})
    folder = recording.slices.folder
    if len(cpus) > 1:
        return [_stream(folder, cpu, _of_cpu(columns, cpu, rows)) for cpu in cpus]
    return [_stream(folder, cpus[0], columns)]


def _of_cpu(columns: dict[str, np.ndarray], cpu: int, rows: int) -> dict[str, np.ndarray]:
    """Select the rows of one CPU, and the entries of their lists of runnable tasks."""
    selected, begin = {name: DiskColumn(values.dtype) for name, values in columns.items()}, 0
    for part in row_slices(len(columns["cpu"]), rows):
        mine, count = columns["cpu"][part] == cpu, columns["runnable_count"][part]
        lists = slice(begin, begin + int(count.sum()))
        for name, values in columns.items():
            flat = name in ("runnable_tid", "runnable_mark")
            selected[name].append(values[lists][np.repeat(mine, count)] if flat else values[part][mine])
        begin = lists.stop
    return {name: column.whole() for name, column in selected.items()}


def _stream(folder: Path, cpu: int, columns: dict[str, np.ndarray]) -> Stream:
    count = columns.pop("runnable_count")
    del columns["cpu"]
    begins, total = DiskColumn(np.int64), 0
    begins.append(np.zeros(1))
    for part in row_slices(len(count)):
        ends = total + np.cumsum(count[part], dtype=np.int64)
        begins.append(ends)
        total = int(ends[-1])
    return Stream(folder.name, folder, cpu, **columns, runnable_at=begins.whole())

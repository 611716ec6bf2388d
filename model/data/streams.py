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

from model.data.disk_column import ROWS, Spool, mapped, parts
from model.data.marks import UNKNOWN, Vocabulary, name_events
from model.data.slice_columns import STATES as STATES
from model.data.slice_columns import Recording, read, runnable_as
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
        """The tids that could have been picked at `event`."""
        return self.runnable_tid[self.runnable_at[event] : self.runnable_at[event + 1]]

    def slice_us(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """(n,) float64 slice lengths in microseconds, at least one nanosecond, so that their log exists.

        Of events start..stop-1; of all of them takes memory where the stream does not fit into it.
        """
        return np.maximum(self.slice_ns[start:stop], 1) / 1e3


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

    def slice_us(self) -> np.ndarray:
        """(n,) the slice lengths of its events in microseconds."""
        return self.stream.slice_us(self.start, self.stop)

    def parts(self, events: int = ROWS) -> list[Segment]:
        """The same, in pieces of at most so many events."""
        pieces = [(self.start + part.start, self.start + part.stop) for part in parts(len(self), events)]
        return [Segment(self.stream, start, stop) for start, stop in pieces]


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
class _Cut:
    """A recording, the mark of each of those that ran, and when the train part and the validation part end."""

    recording: Recording
    names: list[str]
    cuts_ns: tuple[int, int]

    def train_names(self) -> list[str]:
        """The marks that occur in the train part."""
        end = int(np.searchsorted(self.recording.column["start_ns"], self.cuts_ns[0]))
        return [self.names[who] for who in self.recording.who_until(end)]


def load(
    folders: Sequence[Path], mark: str = "task", split: Sequence[float] = (0.7, 0.15, 0.15), rows: int = ROWS
) -> Dataset:
    """Read the recordings in `folders`, `rows` slices at a time, and cut each one in time.

    The cut is one instant for all CPUs of a recording, so that no CPU's train part lies in another's future.
    Raises TableError, StreamError (empty, too short, one task only) or SettingError (mark, split).
    """
    if not folders:
        raise StreamError("no recordings: expected at least one folder with a slices table")
    _check_split(split)
    recordings = [_read(Path(folder), mark, split, rows) for folder in folders]
    vocabulary = Vocabulary.of(name for recording in recordings for name in recording.train_names())
    cut: list[list[Segment]] = [[], [], []]
    for recording in recordings:
        for stream in _streams(recording, vocabulary, rows):
            for part, segment in zip(cut, _segments(stream, recording.cuts_ns), strict=True):
                part.append(segment)
    train, valid, test = (tuple(segment for segment in part if len(segment)) for part in cut)
    return Dataset(mark, vocabulary, train, valid, test, tuple(Path(folder).name for folder in folders))


def across(train: Sequence[Path], test: Sequence[Path], mark: str = "task", valid: float = 0.15) -> Dataset:
    """Learn from some recordings and be tested on others, whole: another trial, another load, another host.

    The last `valid` share of each recording learned from is held out for validation; nothing of the others is seen.
    """
    apart(train, test)
    if not 0 < valid < 1:
        raise SettingError(f"validation share {valid}: expected more than 0 and less than 1")
    known = [_read(Path(folder), mark, (1 - valid, valid / 2, valid / 2), ROWS) for folder in train]
    vocabulary = Vocabulary.of(name for recording in known for name in recording.train_names())
    cut: list[list[Segment]] = [[], []]
    for recording in known:
        for stream in _streams(recording, vocabulary, ROWS):
            end = int(np.searchsorted(stream.start_ns, recording.cuts_ns[0]))
            cut[0].append(Segment(stream, 0, end))
            cut[1].append(Segment(stream, end, len(stream)))
    others = [
        Segment(stream, 0, len(stream)) for stream in streams([Path(folder) for folder in test], mark, vocabulary)
    ]
    learned, held_out = (tuple(segment for segment in part if len(segment)) for part in cut)
    return Dataset(mark, vocabulary, learned, held_out, tuple(others), tuple(Path(f).name for f in (*train, *test)))


def apart(train: Sequence[Path], test: Sequence[Path]) -> None:
    """SettingError where a recording is on both sides, or a side is empty."""
    shared = {Path(folder).resolve() for folder in train} & {Path(folder).resolve() for folder in test}
    if shared or not train or not test:
        told = f"{min(shared)} is both learned from and tested on" if shared else "one of the two sides is empty"
        raise SettingError(f"{told}: expected recordings to learn from, and others to be tested on")


def streams(folders: Sequence[Path], mark: str, vocabulary: Vocabulary) -> list[Stream]:
    """Whole recordings, uncut, in the marks of a vocabulary that was made elsewhere."""
    recordings = [_read(folder, mark, (0.7, 0.15, 0.15), ROWS) for folder in folders]
    return [stream for recording in recordings for stream in _streams(recording, vocabulary, ROWS)]


def _check_split(split: Sequence[float]) -> None:
    if len(split) != 3 or min(split) <= 0 or abs(sum(split) - 1) > 1e-6:
        raise SettingError(f"split {list(split)}: expected three positive shares that add up to 1, as 0.7, 0.15, 0.15")


def _read(folder: Path, mark: str, split: Sequence[float], rows: int) -> _Cut:
    recording = read(folder, rows)
    if len(recording) < SHORTEST:
        raise StreamError(
            f"{folder}: {len(recording)} slices: expected at least {SHORTEST}; record longer or a busier load"
        )
    names = name_events(mark, recording.comm, recording.tid)  # by first appearance, as if it were event by event
    times = recording.column["start_ns"]
    first, second = (int(len(times) * share) for share in (split[0], split[0] + split[1]))
    return _Cut(recording, names, (int(times[first]), int(times[second])))


def _segments(stream: Stream, cuts_ns: tuple[int, int]) -> list[Segment]:
    first, second = np.searchsorted(stream.start_ns, cuts_ns)
    bounds = [0, int(first), int(second), len(stream)]
    return [Segment(stream, start, stop) for start, stop in itertools.pairwise(bounds)]


def _streams(cut: _Cut, vocabulary: Vocabulary, rows: int) -> list[Stream]:
    column, code = dict(cut.recording.column), np.append(vocabulary.encode(cut.names), UNKNOWN)
    who, listed = column.pop("who"), runnable_as(cut.recording, rows)
    column["mark"] = mapped(len(who), np.int32, lambda part: code[who[part]], rows)
    column["runnable_mark"] = mapped(len(listed), np.int32, lambda part: code[listed[part]], rows)
    cpus = sorted({int(cpu) for part in parts(len(who), rows) for cpu in np.unique(column["cpu"][part])})
    if len(cpus) > 1:
        return [_stream(cut.recording.folder, cpu, _of_cpu(column, cpu, rows)) for cpu in cpus]
    return [_stream(cut.recording.folder, cpus[0], column)]


def _of_cpu(column: dict[str, np.ndarray], cpu: int, rows: int) -> dict[str, np.ndarray]:
    """The rows of one CPU, and what was listed in them."""
    spools, begin = {name: Spool(values.dtype) for name, values in column.items()}, 0
    for part in parts(len(column["cpu"]), rows):
        mine, count = column["cpu"][part] == cpu, column["runnable_count"][part]
        lists = slice(begin, begin + int(count.sum()))
        for name, values in column.items():
            flat = name in ("runnable_tid", "runnable_mark")
            spools[name].append(values[lists][np.repeat(mine, count)] if flat else values[part][mine])
        begin = lists.stop
    return {name: spool.whole() for name, spool in spools.items()}


def _stream(folder: Path, cpu: int, column: dict[str, np.ndarray]) -> Stream:
    count = column.pop("runnable_count")
    del column["cpu"]
    at, total = Spool(np.int64), 0
    at.append(np.zeros(1))
    for part in parts(len(count)):
        reached = total + np.cumsum(count[part], dtype=np.int64)
        at.append(reached)
        total = int(reached[-1])
    return Stream(folder.name, folder, cpu, **column, runnable_at=at.whole())

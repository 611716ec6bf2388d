"""Outcomes: for each predicted event whether the mark was hit, its bits, and the errors of the slice length."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.data.lags import lagged
from model.data.marks import UNKNOWN
from model.data.streams import Segment
from model.density import crps
from model.errors import StreamError, TableError
from model.files import read_bytes, read_json
from model.predictor import Prediction, SegmentPredictor

FILE, SCORES = "outcomes.parquet", "scores.json"
HASHES = "table_sha256"  # the key in the scores of the SHA-256 of each table beside them, by the name of its file
PART_EVENTS = 16384  # events predicted at once; bounds the memory of (events, marks) probabilities


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of the test events in time order; every array is (n,)."""

    stream: np.ndarray  # index of the segment that holds the event
    mark: np.ndarray
    contested: np.ndarray  # bool: two or more tasks were runnable
    open: np.ndarray  # bool: two or more were runnable besides the task that was just switched away from
    chance: np.ndarray  # probability that a blind pick among the tasks that could be switched to has the right mark
    hit: np.ndarray  # bool: the most probable mark was the right one
    hit3: np.ndarray  # bool: the right mark was among the three most probable
    bits: np.ndarray  # -log2 probability of the right mark
    confidence: np.ndarray  # probability of the most probable mark
    slice_nats: np.ndarray  # -log density of dt in microseconds
    slice_error_us: np.ndarray  # |median - dt|
    slice_crps_us: np.ndarray
    slice_rank: np.ndarray  # cumulative probability at dt: uniform on 0..1 if the densities are right
    trial: np.ndarray  # index of the recording; 0 for all events of outcomes that an older scorer wrote

    @property
    def time_bits(self) -> np.ndarray:
        """-log2 density of dt in microseconds."""
        return self.slice_nats / np.log(2)

    @property
    def joint_bits(self) -> np.ndarray:
        """-log2 likelihood of the event: of its mark, and of dt given the mark."""
        return self.bits + self.time_bits

    @property
    def above_chance(self) -> np.ndarray:
        """The hit less the chance of a hit by a blind pick."""
        return self.hit - self.chance


def read_outcomes(folder: Path) -> Outcomes:
    """Read the outcomes that `model.jobs` left in a model folder. Raises TableError."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise TableError(f"{path}: no such table: expected the folder of a scored predictor")
    try:
        content = read_bytes(path)
        _require_unchanged(path, content)
        table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: no readable table ({error}): train again") from error
    names = [item.name for item in fields(Outcomes)]
    if "trial" not in table.column_names:
        table = table.append_column("trial", [np.zeros(len(table), np.int32)])
    if missing := sorted({*names} - {*table.column_names}):
        raise TableError(f"{path}: written by an older scorer, without {', '.join(missing)}: train again")
    return Outcomes(**{name: table[name].to_numpy() for name in names})


def _require_unchanged(path: Path, content: bytes) -> None:
    """Raise TableError if a table is not the one that its scores were written with."""
    try:
        expected = read_json(path.parent / SCORES)[HASHES][path.name]
    except (OSError, ValueError, LookupError, TypeError):
        return  # scores of 0.2.0 keep no hashes; those that cannot be read are another error
    if hashlib.sha256(content).hexdigest() != expected:
        raise TableError(f"{path}: not the table that {SCORES} was written with, as its SHA-256 differs: train again")


def to_table(outcomes: Outcomes) -> pa.Table:
    """Convert to a table with one row per event."""
    return pa.table({item.name: getattr(outcomes, item.name) for item in fields(outcomes)})


def evaluate(predictor: SegmentPredictor, segments: Sequence[Segment]) -> Outcomes:
    """Predict every event of `segments` and compare with what happened. StreamError if there are no events."""
    folders = list(dict.fromkeys(segment.stream.folder for segment in segments))
    parts = [
        outcomes_of(predictor.predict(part), part, number, folders.index(segment.stream.folder))
        for number, segment in enumerate(segments)
        for part in segment.parts(PART_EVENTS)
    ]
    if not parts:
        raise StreamError("the test part is empty: record longer, or give it a larger share")
    return Outcomes(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Outcomes)))


def evaluate_marks(predictor: SegmentPredictor, segments: Sequence[Segment]) -> dict[str, np.ndarray]:
    """Return (n,) `hit`, `bits` and `contested`, as `evaluate` does, without the cost of slice lengths."""
    parts: list[dict[str, np.ndarray]] = [
        {**_mark_outcomes(predictor.predict(part), part), "contested": part.of(part.stream.contested)}
        for segment in segments
        for part in segment.parts(PART_EVENTS)
    ]
    names = ("hit", "bits", "contested")
    return {name: np.concatenate([part[name] for part in parts]) if parts else np.zeros(0, bool) for name in names}


def _mark_outcomes(prediction: Prediction, segment: Segment) -> dict[str, np.ndarray]:
    mark = segment.of(segment.stream.mark)
    rows = np.arange(len(mark))
    best = np.argsort(-prediction.log_probs, axis=1, kind="stable")[:, :3]
    known = mark != UNKNOWN  # betting on "a mark I do not know" may save bits, but it names no task
    named = np.zeros(len(mark), bool) if prediction.tid is None else prediction.tid == segment.of(segment.stream.tid)
    return {
        "hit": np.where(known, best[:, 0] == mark, named),
        "hit3": np.where(known, (best == mark[:, None]).any(axis=1), named),
        "bits": -prediction.log_probs[rows, mark] / np.log(2),
        "confidence": np.exp(prediction.log_probs[rows, best[:, 0]]),
    }


def outcomes_of(prediction: Prediction, segment: Segment, number: int = 0, trial: int = 0) -> Outcomes:
    """Compare the predictions of a segment with its events; `number` and `trial`: its indices in the outcomes."""
    dt_us, stream = segment.slice_us(), segment.stream
    mark, contested = segment.of(stream.mark), segment.of(stream.contested)
    event, candidate = _candidates(segment)
    count = np.bincount(event, minlength=len(segment))
    right = np.bincount(event, weights=candidate == mark[event], minlength=len(segment))
    return Outcomes(
        stream=np.full(len(segment), number, np.int32),
        mark=mark,
        contested=contested,
        open=contested & (count >= 2),
        chance=right / np.maximum(count, 1),
        slice_nats=-prediction.dt.log_pdf(dt_us),
        slice_error_us=np.abs(prediction.dt.quantile(0.5) - dt_us),
        slice_crps_us=crps(prediction.dt, dt_us),
        slice_rank=prediction.dt.cdf(dt_us),
        trial=np.full(len(segment), trial, np.int32),
        **_mark_outcomes(prediction, segment),
    )


def _candidates(segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    """Return (m,) event and mark of every task that could have been switched to.

    These are the runnable tasks without the one that just left the CPU: keeping that one would be no switch.
    """
    stream = segment.stream
    bounds = stream.runnable_at[segment.start : segment.stop + 1]
    event = np.repeat(np.arange(len(segment)), np.diff(bounds))
    tid = stream.runnable_tid[bounds[0] : bounds[-1]]
    last = lagged(stream.tid, segment.start, segment.stop, 1, -1)[:, 0]
    possible = (tid != last[event]) | (tid == segment.of(stream.tid)[event])
    return event[possible], stream.runnable_mark[bounds[0] : bounds[-1]][possible]

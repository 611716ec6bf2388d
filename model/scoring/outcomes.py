"""What became of each event that a predictor foresaw: hits, bits, and how right its densities of dt were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from model.predictor import Prediction, Predictor

FILE = "outcomes.parquet"
PART = 16384  # events predicted at once; bounds the memory that (events, marks) probabilities take


@dataclass(frozen=True)
class Outcomes:
    """What became of each test event, in time order; every array is (n,)."""

    stream: np.ndarray  # number of the segment it is of
    mark: np.ndarray
    contested: np.ndarray  # bool
    open: np.ndarray  # bool: two or more were runnable besides the task that was just switched away from
    chance: np.ndarray  # of picking the right one blindly, of those that could be switched to
    hit: np.ndarray  # bool: the most probable mark was the right one
    hit3: np.ndarray  # bool: it was among the three most probable
    bits: np.ndarray
    confidence: np.ndarray  # probability of the most probable mark
    slice_nats: np.ndarray  # -log density of dt in microseconds
    slice_error_us: np.ndarray  # |median - dt|
    slice_crps_us: np.ndarray
    slice_rank: np.ndarray  # cumulative probability at dt: uniform if the densities are right


def read(folder: Path) -> Outcomes:
    """What `model.jobs` kept of the test events in the folder of a scored predictor. TableError where it did not."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise TableError(f"{path}: no such table: expected the folder of a scored predictor")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: no readable table ({error}): train again") from error
    names = [item.name for item in fields(Outcomes)]
    if missing := sorted({*names} - {*table.column_names}):
        raise TableError(f"{path}: written by an older scorer, without {', '.join(missing)}: train again")
    return Outcomes(**{name: table[name].to_numpy() for name in names})


def table_of(found: Outcomes) -> pa.Table:
    """The same as a table, one row an event."""
    return pa.table({item.name: getattr(found, item.name) for item in fields(found)})


def outcomes(predictor: Predictor, segments: Sequence[Segment]) -> Outcomes:
    """Predict every event of `segments`. StreamError if there are none."""
    found = enumerate(segments)
    parts = [_outcomes(predictor.predict(part), part, number) for number, whole in found for part in _parts(whole)]
    if not parts:
        raise StreamError("the test part is empty: record longer, or give it a larger share")
    return Outcomes(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Outcomes)))


def _parts(segment: Segment) -> Iterator[Segment]:
    for start in range(segment.start, segment.stop, PART):
        yield Segment(segment.stream, start, min(start + PART, segment.stop))


def hits_and_bits(predictor: Predictor, segments: Sequence[Segment]) -> dict[str, np.ndarray]:
    """(n,) `hit`, `bits` and `contested` of every event of `segments`; what `outcomes` finds, without slice lengths."""
    parts: list[dict[str, np.ndarray]] = [
        {**_named(predictor.predict(part), part), "contested": part.of(part.stream.contested)}
        for whole in segments
        for part in _parts(whole)
    ]
    names = ("hit", "bits", "contested")
    return {name: np.concatenate([part[name] for part in parts]) if parts else np.zeros(0, bool) for name in names}


def _named(prediction: Prediction, segment: Segment) -> dict[str, np.ndarray]:
    """How right the marks were."""
    mark = segment.of(segment.stream.mark)
    rows = np.arange(len(mark))
    best = np.argsort(-prediction.log_probs, axis=1, kind="stable")[:, :3]
    named = mark != UNKNOWN  # "none I know" is a fair bet in bits, but it names no task
    return {
        "hit": (best[:, 0] == mark) & named,
        "hit3": (best == mark[:, None]).any(axis=1) & named,
        "bits": -prediction.log_probs[rows, mark] / np.log(2),
        "confidence": np.exp(prediction.log_probs[rows, best[:, 0]]),
    }


def _outcomes(prediction: Prediction, segment: Segment, number: int) -> Outcomes:
    dt_us = segment.slice_us()
    return Outcomes(
        stream=np.full(len(segment), number, np.int32),
        mark=segment.of(segment.stream.mark),
        contested=segment.of(segment.stream.contested),
        open=_open(segment),
        chance=_chance(segment),
        slice_nats=-prediction.dt.log_pdf(dt_us),
        slice_error_us=np.abs(prediction.dt.quantile(0.5) - dt_us),
        slice_crps_us=crps(prediction.dt, dt_us),
        slice_rank=prediction.dt.cdf(dt_us),
        **_named(prediction, segment),
    )


def _chance(segment: Segment) -> np.ndarray:
    """The share of the possible tasks that carry the right mark; zero where the record of them misses it."""
    event, mark = _possible(segment)
    same = mark == segment.of(segment.stream.mark)[event]
    count = np.bincount(event, minlength=len(segment))
    return np.bincount(event, weights=same, minlength=len(segment)) / np.maximum(count, 1)


def _open(segment: Segment) -> np.ndarray:
    """Where there was a choice beyond not going on."""
    event, _ = _possible(segment)
    return segment.of(segment.stream.contested) & (np.bincount(event, minlength=len(segment)) >= 2)


def _possible(segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    """(m,) event and mark of every task that could have been switched to.

    That is who was runnable, less the task that just left the CPU: going on with that one would be no switch.
    """
    stream = segment.stream
    bounds = stream.runnable_at[segment.start : segment.stop + 1]
    event = np.repeat(np.arange(len(segment)), np.diff(bounds))
    tid = stream.runnable_tid[bounds[0] : bounds[-1]]
    last = lagged(stream.tid, segment.start, segment.stop, 1, -1)[:, 0]
    possible = (tid != last[event]) | (tid == segment.of(stream.tid)[event])
    return event[possible], stream.runnable_mark[bounds[0] : bounds[-1]][possible]

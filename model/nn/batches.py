"""Event streams as tensors, and batches of them for truncated back-propagation through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.data.disk_column import ROWS, DiskColumn
from model.data.lags import lagged
from model.data.streams import Segment
from model.nn.network import Inputs

FIELDS = tuple(Inputs.__annotations__)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of log dt (us) in the train part."""

    mean: float
    deviation: float

    @classmethod
    def measure(cls, segments: Sequence[Segment]) -> Scale:
        """Measure the scale of `segments`; a deviation of zero becomes one."""
        parts = [part for segment in segments for part in segment.parts()]
        events = sum(len(part) for part in parts)
        mean = sum(float(np.log(part.slice_us()).sum()) for part in parts) / events
        square = sum(float(((np.log(part.slice_us()) - mean) ** 2).sum()) for part in parts) / events
        return cls(mean, float(np.sqrt(square)) or 1.0)


def to_inputs(segment: Segment, scale: Scale, absent: int) -> Inputs:
    """Return the inputs and targets (1, n) of a segment; `absent` is the mark in front of a stream's first event."""
    columns = _columns(segment, scale, absent)
    return Inputs(**{name: torch.from_numpy(column)[None] for name, column in columns.items()})


def _columns(segment: Segment, scale: Scale, absent: int) -> dict[str, np.ndarray]:
    stream, begin = segment.stream, max(0, segment.start - 1)  # one event more than the segment, if there is one
    start, stop = segment.start - begin, segment.stop - begin
    log_dt = ((np.log(stream.slice_us(begin, segment.stop)) - scale.mean) / scale.deviation).astype(np.float32)

    def previous(column: np.ndarray, value: int) -> np.ndarray:
        return lagged(column, start, stop, 1, value)[:, 0].copy()

    return {
        "previous_mark": previous(stream.mark[begin : segment.stop].astype(np.int64), absent),
        "previous_log": previous(log_dt, 0),
        "previous_state": previous(stream.end_state[begin : segment.stop].astype(np.int64), 0),
        "mark": segment.of(stream.mark).astype(np.int64),
        "log_dt": log_dt[start:].copy(),
    }


def concatenate(segments: Sequence[Segment], scale: Scale, absent: int, rows: int = ROWS) -> Inputs:
    """Return the inputs (1, all events) of the segments, end to end; each segment begins with its own past.

    The tensors are kept in files (see `model.data.disk_column`), so that there may be more events than fit in memory.
    """
    columns = {
        name: DiskColumn(np.float32 if name.endswith("log") or name == "log_dt" else np.int64) for name in FIELDS
    }
    for part in (part for segment in segments for part in segment.parts(rows)):
        for name, column in _columns(part, scale, absent).items():
            columns[name].append(column)
    return Inputs(**{name: torch.from_numpy(column.whole())[None] for name, column in columns.items()})


def fold_into_batch(events: Inputs, batch_size: int, offset: int) -> Inputs:
    """Cut the row (1, n) from `offset` on into `batch_size` contiguous rows of equal length; drop the remainder."""
    steps = (events.mark.shape[1] - offset) // batch_size

    def fold(row: torch.Tensor) -> torch.Tensor:
        return row[0, offset : offset + batch_size * steps].reshape(batch_size, steps)

    return Inputs(*(fold(getattr(events, name)) for name in FIELDS))


def chunk(batch: Inputs, begin: int, steps: int) -> Inputs:
    """Return steps begin..begin+steps-1 of every row."""
    return Inputs(*(getattr(batch, name)[:, begin : begin + steps] for name in FIELDS))

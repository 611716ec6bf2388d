"""Streams laid side by side: contiguous lanes, cut into equal chunks, as truncated back-propagation wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.data.disk_column import ROWS, DiskColumn
from model.data.lags import lagged
from model.data.streams import Segment
from model.nn.network import Inputs

NAMES = tuple(Inputs.__annotations__)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of log dt (us) in the train part."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Scale:
        """Measured on `segments`; a deviation of zero becomes one."""
        parts = [part for segment in segments for part in segment.parts()]
        events = sum(len(part) for part in parts)
        mean = sum(float(np.log(part.slice_us()).sum()) for part in parts) / events
        square = sum(float(((np.log(part.slice_us()) - mean) ** 2).sum()) for part in parts) / events
        return cls(mean, float(np.sqrt(square)) or 1.0)


def inputs_of(segment: Segment, scale: Scale, absent: int) -> Inputs:
    """(1, n) inputs and targets of a segment."""
    columns = _columns(segment, scale, absent)
    return Inputs(**{name: torch.from_numpy(column)[None] for name, column in columns.items()})


def _columns(segment: Segment, scale: Scale, absent: int) -> dict[str, np.ndarray]:
    stream, begin = segment.stream, max(0, segment.start - 1)  # one event more than the segment, where there is one
    start, stop = segment.start - begin, segment.stop - begin
    log_dt = ((np.log(stream.slice_us(begin, segment.stop)) - scale.mean) / scale.deviation).astype(np.float32)

    def before(column: np.ndarray, value: int) -> np.ndarray:
        return lagged(column, start, stop, 1, value)[:, 0].copy()

    return {
        "previous": before(stream.mark[begin : segment.stop].astype(np.int64), absent),
        "previous_log": before(log_dt, 0),
        "previous_state": before(stream.end_state[begin : segment.stop].astype(np.int64), 0),
        "mark": segment.of(stream.mark).astype(np.int64),
        "log_dt": log_dt[start:].copy(),
    }


def joined(segments: Sequence[Segment], scale: Scale, absent: int, rows: int = ROWS) -> Inputs:
    """(1, all events): the segments end to end; each begins with its own past, a seam costs one odd step.

    The tensors lie in files (see `model.data.disk_column`), so that there may be more events than memory holds.
    """
    columns = {name: DiskColumn(np.float32 if name.endswith("log") or name == "log_dt" else np.int64) for name in NAMES}
    for part in (part for segment in segments for part in segment.parts(rows)):
        for name, column in _columns(part, scale, absent).items():
            columns[name].append(column)
    return Inputs(**{name: torch.from_numpy(column.whole())[None] for name, column in columns.items()})


def lay(whole: Inputs, lanes: int, offset: int) -> Inputs:
    """(lanes, steps): the one long lane from `offset` on, folded; what does not fill the last step is left out."""
    steps = (whole.mark.shape[1] - offset) // lanes

    def fold(row: torch.Tensor) -> torch.Tensor:
        return row[0, offset : offset + lanes * steps].reshape(lanes, steps)

    return Inputs(*(fold(getattr(whole, name)) for name in NAMES))


def chunk(laid: Inputs, begin: int, steps: int) -> Inputs:
    """Steps begin..begin+steps-1 of every lane."""
    return Inputs(*(getattr(laid, name)[:, begin : begin + steps] for name in NAMES))

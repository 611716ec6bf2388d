"""Streams laid side by side: contiguous lanes, cut into equal chunks, as truncated back-propagation wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.data import Segment
from model.history import lagged
from model.network import Inputs


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of log dt (us) in the train part."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Scale:
        """Measured on `segments`; a deviation of zero becomes one."""
        log_dt = np.log(np.concatenate([segment.of(segment.stream.slice_us()) for segment in segments]))
        return cls(float(log_dt.mean()), float(log_dt.std()) or 1.0)


def inputs_of(segment: Segment, scale: Scale, absent: int) -> Inputs:
    """(1, n) inputs and targets of a segment."""
    stream, start, stop = segment.stream, segment.start, segment.stop
    log_dt = ((np.log(stream.slice_us()) - scale.mean) / scale.deviation).astype(np.float32)

    def before(column: np.ndarray, value: int) -> torch.Tensor:
        return torch.from_numpy(lagged(column, start, stop, 1, value).T.copy())

    return Inputs(
        previous=before(stream.mark.astype(np.int64), absent),
        previous_log=before(log_dt, 0),
        previous_state=before(stream.end_state.astype(np.int64), 0),
        mark=torch.from_numpy(segment.of(stream.mark).astype(np.int64))[None],
        log_dt=torch.from_numpy(segment.of(log_dt).copy())[None],
    )


def joined(segments: Sequence[Segment], scale: Scale, absent: int) -> Inputs:
    """(1, all events): the segments end to end; each begins with its own past, a seam costs one odd step."""
    parts = [inputs_of(segment, scale, absent) for segment in segments]
    return Inputs(*(torch.cat([getattr(part, name) for part in parts], dim=1) for name in Inputs.__annotations__))


def lay(whole: Inputs, lanes: int, offset: int) -> Inputs:
    """(lanes, steps): the one long lane from `offset` on, folded; what does not fill the last step is left out."""
    steps = (whole.mark.shape[1] - offset) // lanes

    def fold(row: torch.Tensor) -> torch.Tensor:
        return row[0, offset : offset + lanes * steps].reshape(lanes, steps)

    return Inputs(*(fold(getattr(whole, name)) for name in Inputs.__annotations__))


def chunk(laid: Inputs, begin: int, steps: int) -> Inputs:
    """Steps begin..begin+steps-1 of every lane."""
    return Inputs(*(getattr(laid, name)[:, begin : begin + steps] for name in Inputs.__annotations__))

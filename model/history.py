"""What lies before an event, as columns: the marks, slices and states of the events just past."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.data import Segment


def lagged(column: np.ndarray, start: int, stop: int, lags: int, absent: int) -> np.ndarray:
    """(stop - start, lags): the value 1, 2, ... events before each event; `absent` before the stream's first."""
    padded = np.concatenate([np.full(lags, absent, column.dtype), column[:stop]])
    out = np.empty((stop - start, lags), column.dtype)
    for lag in range(1, lags + 1):
        out[:, lag - 1] = padded[start + lags - lag : stop + lags - lag]
    return out


def past_marks(segments: Sequence[Segment], lags: int, absent: int) -> np.ndarray:
    """(events, lags) int64 marks before each event of all segments, the latest first."""
    parts = [lagged(segment.stream.mark, segment.start, segment.stop, lags, absent) for segment in segments]
    return np.concatenate(parts).astype(np.int64)


def own(segments: Sequence[Segment], column: str) -> np.ndarray:
    """(events,) one stream column over all segments."""
    return np.concatenate([segment.of(getattr(segment.stream, column)) for segment in segments])


def own_us(segments: Sequence[Segment]) -> np.ndarray:
    """(events,) slice lengths in microseconds over all segments."""
    return np.maximum(own(segments, "slice_ns"), 1) / 1e3

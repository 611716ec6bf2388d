"""The marks, slices and end states of the events just before each event, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.data.streams import Segment


def lagged(column: np.ndarray, start: int, stop: int, lags: int, absent: float) -> np.ndarray:
    """Return (stop - start, lags) the values 1, 2, ... events before each; `absent` before the stream's first event."""
    begin = max(0, start - lags)
    padded = np.concatenate([np.full(lags - (start - begin), absent, column.dtype), column[begin:stop]])
    out = np.empty((stop - start, lags), column.dtype)
    for lag in range(1, lags + 1):
        out[:, lag - 1] = padded[lags - lag : lags - lag + stop - start]
    return out


@dataclass(frozen=True)
class Past:
    """(n, lags) each, the latest event first; before a stream's first event: mark `absent`, 0 us, state 0."""

    mark: np.ndarray  # int64
    slice_us: np.ndarray  # float64
    end_state: np.ndarray  # int64

    @classmethod
    def of(cls, segments: Sequence[Segment], lags: int, absent: int) -> Past:
        """Return the past of every event of all segments."""
        parts = []
        for segment in segments:
            stream, start, stop = segment.stream, segment.start, segment.stop
            begin = max(0, start - lags)
            columns = (stream.mark[begin:], absent), (stream.slice_us(begin, stop), 0.0), (stream.end_state[begin:], 0)
            parts.append([lagged(column, start - begin, stop - begin, lags, missing) for column, missing in columns])
        mark, slice_us, state = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(mark.astype(np.int64), slice_us, state.astype(np.int64))

    def then(self, mark: int, slice_us: float, end_state: int) -> Past:
        """Return the past once this event has happened, in every row."""

        def shift(column: np.ndarray, value: float) -> np.ndarray:
            return np.concatenate([np.full((len(column), 1), value, column.dtype), column[:, :-1]], axis=1)

        return Past(shift(self.mark, mark), shift(self.slice_us, slice_us), shift(self.end_state, end_state))


def past_marks(segments: Sequence[Segment], lags: int, absent: int) -> np.ndarray:
    """Return (events, lags) int64 marks before each event of all segments, the latest first."""
    return Past.of(segments, lags, absent).mark


def column_of(segments: Sequence[Segment], column: str) -> np.ndarray:
    """Return (events,) one stream column over all segments."""
    return np.concatenate([segment.of(getattr(segment.stream, column)) for segment in segments])


def slice_us_of(segments: Sequence[Segment]) -> np.ndarray:
    """Return (events,) slice lengths in microseconds over all segments."""
    return np.maximum(column_of(segments, "slice_ns"), 1) / 1e3

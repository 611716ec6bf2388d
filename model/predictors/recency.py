"""Features for trees: the last few events, and when and how each common mark was last seen on this CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.data.lags import lagged
from model.data.streams import Segment

LAGS = 5  # events whose mark, length and state are features
WINDOW = 256  # events; a mark not seen in as many counts as not seen at all
TRACKED = 24  # the most common marks, whose recency is a feature


@dataclass(frozen=True)
class Tail:
    """(n,) each: the events of one stream, or its last few, in time order."""

    mark: np.ndarray
    slice_us: np.ndarray
    end_state: np.ndarray

    @classmethod
    def of(cls, segment: Segment) -> tuple[Tail, int]:
        """What the segment's features look at, and where in it the segment begins."""
        stream, begin = segment.stream, max(0, segment.start - WINDOW)
        cut = slice(begin, segment.stop)
        return cls(stream.mark[cut], stream.slice_us(begin, segment.stop), stream.end_state[cut]), segment.start - begin


def features(tail: Tail, start: int, stop: int, tracked: np.ndarray) -> np.ndarray:
    """(stop - start, LAGS * 3 + tracked * 3) float32 features of events start..stop-1; `stop` may be one past the last.

    Per lag: mark, log slice, end state. Per tracked mark: log events and log microseconds since it last ended, and the
    state it ended in; -1 where it was not seen.
    """
    log_us = np.log(tail.slice_us)
    columns = [
        lagged(tail.mark.astype(np.float32), start, stop, LAGS, -1),
        lagged(log_us.astype(np.float32), start, stop, LAGS, -1),
        lagged(tail.end_state.astype(np.float32), start, stop, LAGS, -1),
    ]
    ended_us = np.concatenate([[0.0], np.cumsum(tail.slice_us)])  # the time at which event i begins
    for mark in tracked:
        columns.append(_recency(tail, ended_us, int(mark), start, stop))
    return np.concatenate(columns, axis=1)


def _recency(tail: Tail, ended_us: np.ndarray, mark: int, start: int, stop: int) -> np.ndarray:
    where = np.where(tail.mark[: stop - 1] == mark, np.arange(stop - 1), -1) if stop > 1 else np.zeros(0, np.int64)
    last = np.concatenate([[-1], np.maximum.accumulate(where)])[start:stop]
    at = np.arange(start, stop)
    seen = (last >= 0) & (at - last <= WINDOW)
    safe = np.maximum(last, 0)
    since_us = np.maximum(ended_us[at] - ended_us[np.minimum(safe + 1, len(ended_us) - 1)], 0)
    state = tail.end_state[np.minimum(safe, len(tail.end_state) - 1)] if len(tail.end_state) else np.zeros(len(at))
    found = [np.log(np.maximum(at - last, 1)), np.log1p(since_us), state]
    return np.stack([np.where(seen, value, -1) for value in found], axis=1).astype(np.float32)

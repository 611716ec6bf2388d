"""From an order of the runnable tasks to probabilities of marks: how often was the first one right, the second?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.data.streams import Segment

DEEPEST = 6  # ranks, and sizes of the runnable set, told apart


@dataclass(frozen=True)
class Ranking:
    """For n events, the runnable tasks in the order a policy would pick them, flat: event i's are at[i]..at[i+1]."""

    mark: np.ndarray  # (m,)
    tid: np.ndarray  # (m,)
    at: np.ndarray  # (n + 1,)

    @classmethod
    def of(cls, segment: Segment, tids: Sequence[Sequence[int]]) -> Ranking:
        """From the tids of each event, all of them runnable then; their marks are those the run queue knows them by."""
        stream, sizes = segment.stream, [len(each) for each in tids]
        flat = np.fromiter((tid for each in tids for tid in each), np.int64)
        bounds = stream.runnable_at[segment.start : segment.stop + 1]
        listed = slice(int(bounds[0]), int(bounds[-1]))
        waiting = _keys(np.repeat(np.arange(len(segment)), np.diff(bounds)), stream.runnable_tid[listed])
        order = np.argsort(waiting)
        place = order[np.searchsorted(waiting, _keys(np.repeat(np.arange(len(tids)), sizes), flat), sorter=order)]
        return cls(stream.runnable_mark[listed][place], flat, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    def rank_and_size(self) -> tuple[np.ndarray, np.ndarray]:
        """(m,) rank of each entry in its event, and how many entries that event has, both capped at DEEPEST."""
        sizes = np.diff(self.at)
        rank = np.arange(len(self.mark)) - np.repeat(self.at[:-1], sizes)
        return np.minimum(rank, DEEPEST - 1), np.minimum(np.repeat(sizes, sizes), DEEPEST)


def _keys(event: np.ndarray, tid: np.ndarray) -> np.ndarray:
    """One number for each event and tid; tids stay below 2^32."""
    return event.astype(np.int64) << 32 | tid.astype(np.int64)


class RankTable:
    """How often each rank was right, by the size of the runnable set; the rest is shared as marks are common."""

    def __init__(self) -> None:
        self.by_rank: np.ndarray = np.zeros((DEEPEST + 1, DEEPEST))  # (size, rank): probability of each single entry
        self.common: np.ndarray = np.zeros(0)  # (marks,): for what no ranking foresaw
        self.missed = 0.0  # the share of events that the runnable set does not hold

    def fit(self, ranking: Ranking, segments: Sequence[Segment], marks: int) -> None:
        """Count on the train part."""
        tid = np.concatenate([segment.of(segment.stream.tid) for segment in segments])
        mark = np.concatenate([segment.of(segment.stream.mark) for segment in segments])
        rank, size = ranking.rank_and_size()
        right = ranking.tid == np.repeat(tid, np.diff(ranking.at))
        seen, hits = np.zeros((DEEPEST + 1, DEEPEST)), np.full((DEEPEST + 1, DEEPEST), 0.5)
        np.add.at(seen, (size, rank), 1)
        np.add.at(hits, (size, rank), right)
        self.by_rank = hits / (seen + 1)
        self.common = (np.bincount(mark, minlength=marks) + 0.5) / (len(mark) + 0.5 * marks)
        self.missed = float((len(tid) - right.sum() + 0.5) / (len(tid) + 1))

    def weights(self, ranking: Ranking) -> np.ndarray:
        """(m,) how often an entry of that rank, in a set of that size, was right."""
        rank, size = ranking.rank_and_size()
        return self.by_rank[size, rank]

    def log_probs(self, ranking: Ranking, weights: np.ndarray | None = None) -> np.ndarray:
        """(n, marks) natural log probabilities; `weights` (m,) says otherwise how likely each entry is."""
        events = len(ranking.at) - 1
        event = np.repeat(np.arange(events), np.diff(ranking.at))
        told = np.zeros((events, len(self.common)))
        np.add.at(told, (event, ranking.mark), self.weights(ranking) if weights is None else weights)
        told /= np.maximum(told.sum(axis=1, keepdims=True), 1e-300)
        nothing = told.sum(axis=1, keepdims=True) == 0
        share = np.where(nothing, 1.0, self.missed)
        return np.log((1 - share) * told + share * self.common)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything counted."""
        return {"by_rank": self.by_rank, "common": self.common, "missed": np.array([self.missed])}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        self.by_rank, self.common = np.array(arrays["by_rank"]), np.array(arrays["common"])
        self.missed = float(arrays["missed"][0])

"""Turns a ranking of the runnable tasks into probabilities of marks, by how often each rank was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.data.streams import Segment

MAX_RANKS = 6  # later ranks, and larger runnable sets, are counted as one


@dataclass(frozen=True)
class Ranking:
    """The runnable tasks of n events in the order in which a policy would pick them.

    Flat: the entries of event i are offsets[i] to offsets[i + 1].
    """

    mark: np.ndarray  # (m,)
    tid: np.ndarray  # (m,)
    offsets: np.ndarray  # (n + 1,)

    @classmethod
    def of(cls, segment: Segment, tids: Sequence[Sequence[int]]) -> Ranking:
        """Make a ranking of each event's tids, which must be runnable then; their marks come from the stream."""
        stream, sizes = segment.stream, [len(ranked) for ranked in tids]
        flat = np.fromiter((tid for ranked in tids for tid in ranked), np.int64)
        bounds = stream.runnable_at[segment.start : segment.stop + 1]
        listed = slice(int(bounds[0]), int(bounds[-1]))
        runnable = _keys(np.repeat(np.arange(len(segment)), np.diff(bounds)), stream.runnable_tid[listed])
        order = np.argsort(runnable)
        index = order[np.searchsorted(runnable, _keys(np.repeat(np.arange(len(tids)), sizes), flat), sorter=order)]
        return cls(stream.runnable_mark[listed][index], flat, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    @classmethod
    def concatenate(cls, rankings: Sequence[Ranking]) -> Ranking:
        """Join the rankings of several segments."""
        sizes = np.concatenate([np.diff(ranking.offsets) for ranking in rankings])
        mark, tid = (np.concatenate([getattr(ranking, name) for ranking in rankings]) for name in ("mark", "tid"))
        return cls(mark, tid, np.concatenate([[0], np.cumsum(sizes)]))

    def likeliest(self, weights: np.ndarray) -> np.ndarray:
        """Return (n,) the tid of each event's entry of the largest weight, the first of equals; -1 without entries."""
        sizes = np.diff(self.offsets)
        event = np.repeat(np.arange(len(sizes)), sizes)
        best = np.lexsort((-weights, event))[self.offsets[:-1][sizes > 0]]  # the sort keeps the events in their places
        tids = np.full(len(sizes), -1, np.int64)
        tids[sizes > 0] = self.tid[best]
        return tids

    def rank_and_size(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (m,) the rank of each entry and the number of entries of its event, both limited by MAX_RANKS."""
        sizes = np.diff(self.offsets)
        rank = np.arange(len(self.mark)) - np.repeat(self.offsets[:-1], sizes)
        return np.minimum(rank, MAX_RANKS - 1), np.minimum(np.repeat(sizes, sizes), MAX_RANKS)


def _keys(event: np.ndarray, tid: np.ndarray) -> np.ndarray:
    """Encode event and tid as one number; tids stay below 2^32."""
    return event.astype(np.int64) << 32 | tid.astype(np.int64)


class RankTable:
    """Probability of each rank per size of the runnable set; unlisted tasks share the remaining one by frequency."""

    def __init__(self) -> None:
        self.by_rank: np.ndarray = np.zeros((MAX_RANKS + 1, MAX_RANKS))  # (size, rank): probability of one entry
        self.common: np.ndarray = np.zeros(0)  # (marks,): shares of marks, for tasks that the ranking does not list
        self.missed = 0.0  # share of events whose task the ranking does not list

    def fit(self, ranking: Ranking, segments: Sequence[Segment], marks: int) -> None:
        """Count how often each rank was right on the train part."""
        tid = np.concatenate([segment.of(segment.stream.tid) for segment in segments])
        mark = np.concatenate([segment.of(segment.stream.mark) for segment in segments])
        rank, size = ranking.rank_and_size()
        right = ranking.tid == np.repeat(tid, np.diff(ranking.offsets))
        entries, hits = np.zeros((2, MAX_RANKS + 1, MAX_RANKS))
        np.add.at(entries, (size, rank), 1)
        np.add.at(hits, (size, rank), right)
        any_size = (hits.sum(axis=0) + 0.5) / (entries.sum(axis=0) + 1)  # stands in for a size that is seldom seen
        self.by_rank = (hits + any_size) / (entries + 1)
        self.common = (np.bincount(mark, minlength=marks) + 0.5) / (len(mark) + 0.5 * marks)
        self.missed = float((len(tid) - right.sum() + 0.5) / (len(tid) + 1))

    def weights(self, ranking: Ranking) -> np.ndarray:
        """Return (m,) how often an entry of that rank, in a set of that size, was right."""
        rank, size = ranking.rank_and_size()
        return self.by_rank[size, rank]

    def log_probs(self, ranking: Ranking, weights: np.ndarray | None = None) -> np.ndarray:
        """Return (n, marks) natural log probabilities; `weights` (m,) replaces those of `RankTable.weights`."""
        events = len(ranking.offsets) - 1
        event = np.repeat(np.arange(events), np.diff(ranking.offsets))
        probability = np.zeros((events, len(self.common)))
        np.add.at(probability, (event, ranking.mark), self.weights(ranking) if weights is None else weights)
        probability /= np.maximum(probability.sum(axis=1, keepdims=True), 1e-300)
        empty = probability.sum(axis=1, keepdims=True) == 0
        missed = np.where(empty, 1.0, self.missed)
        return np.log((1 - missed) * probability + missed * self.common)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything counted."""
        return {"by_rank": self.by_rank, "common": self.common, "missed": np.array([self.missed])}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        self.by_rank, self.common = np.array(arrays["by_rank"]), np.array(arrays["common"])
        self.missed = float(arrays["missed"][0])

"""Counts that go on learning while they predict: each event is predicted from those before it, and then counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.counts.nested import NestedCounts
from model.counts.slice_histograms import SliceHistograms
from model.data.streams import Segment
from model.density import BINS, Histogram, bin_of
from model.predictor import Prediction


class OnlineCounts(Protocol):
    """Counts of symbols in contexts, which learn one event at a time."""

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """Return (symbols,) probabilities in this context."""

    def learn(self, context: Sequence[int], symbol: int) -> None:
        """Count that `symbol` came in this context."""


class OnlineNestedCounts:
    """`NestedCounts` that learn one event at a time. The fitted counts that they start from do not change."""

    def __init__(self, fitted: NestedCounts, depth: int) -> None:
        self.fitted, self.depth = fitted, depth
        self._nodes: dict[tuple[int, ...], _Node | None] = {}  # by context, the most useful value first

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """Return (symbols,) probabilities in a context of at least `depth` values."""
        probability = np.full(self.fitted.symbols, 1 / self.fitted.symbols)
        for length in range(self.depth + 1):
            node = self._find(tuple(context[:length]))
            if node is None:
                break
            backoff = self.fitted.strength * len(node.count)
            probability *= backoff
            probability[list(node.count)] += list(node.count.values())
            probability /= node.total + backoff
        return probability

    def learn(self, context: Sequence[int], symbol: int) -> None:
        """Count that `symbol` came in this context."""
        for length in range(self.depth + 1):
            prefix = tuple(context[:length])
            node = self._find(prefix)
            if node is None:
                node = self._nodes[prefix] = _Node({}, 0)
            node.count[symbol] = node.count.get(symbol, 0) + 1
            node.total += 1

    def _find(self, context: tuple[int, ...]) -> _Node | None:
        if context not in self._nodes:
            self._nodes[context] = self._fitted_node(context)
        return self._nodes[context]

    def _fitted_node(self, context: tuple[int, ...]) -> _Node | None:
        number = 0
        for length, level in enumerate(self.fitted.levels[: len(context) + 1]):
            key = number if length == 0 else number * self.fitted.values + context[length - 1]
            number = int(np.searchsorted(level.key, key))
            if number == len(level.key) or level.key[number] != key:
                return None
        entries = slice(level.begin[number], level.begin[number + 1])
        count = dict(zip(level.symbol[entries].tolist(), level.count[entries].tolist(), strict=True))
        return _Node(count, sum(count.values()))


@dataclass
class _Node:
    count: dict[int, int]  # by symbol; most contexts are followed by few
    total: int


class OnlineSliceHistograms:
    """`SliceHistograms` that learn one event at a time."""

    def __init__(self, fitted: SliceHistograms) -> None:
        self.fitted = fitted
        self.counts = OnlineNestedCounts(fitted.counts, fitted.used + 1)

    def predict(self, segment: Segment) -> Histogram:
        """Return the densities of a segment's slices, each given its own mark and counted after it is predicted."""
        return Histogram(predict_and_learn(self.counts, self.fitted.context(segment), bin_of(segment.slice_us()), BINS))


def predict_and_learn(counts: OnlineCounts, contexts: np.ndarray, events: np.ndarray, symbols: int) -> np.ndarray:
    """Return (n, symbols) probabilities of events (n,) in contexts (n, m), each from the counts of those before."""
    probability = np.empty((len(events), symbols))
    for row, (context, symbol) in enumerate(zip(contexts.tolist(), events.tolist(), strict=True)):
        probability[row] = counts.probabilities(context)
        counts.learn(context, symbol)
    return probability


class OnlinePredictor:
    """Predicts segments one after the other. If one does not follow the last, the counts start again as fitted."""

    def __init__(
        self,
        begin: Callable[[], OnlineCounts],
        slices: SliceHistograms,
        context: Callable[[Segment], np.ndarray],
        marks: int,
    ) -> None:
        """`begin` makes the counts of marks as they were fitted; `context` the (n, m) contexts of a segment."""
        self._begin, self._fitted_slices, self._context, self._symbols = begin, slices, context, marks
        self._last: Segment | None = None

    def predict(self, segment: Segment) -> Prediction:
        """Predict each event, and then learn it."""
        last = self._last
        if last is None or last.stream is not segment.stream or last.stop != segment.start:
            self._marks, self._slices = self._begin(), OnlineSliceHistograms(self._fitted_slices)
        self._last = segment
        mark = segment.of(segment.stream.mark)
        probability = predict_and_learn(self._marks, self._context(segment), mark, self._symbols)
        return Prediction(np.log(probability), self._slices.predict(segment))

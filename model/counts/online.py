"""Counts that go on growing while they are asked: each event is foreseen from all before it, and then learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.counts.nested import NestedCounts
from model.counts.slice_table import SliceTable
from model.data.streams import Segment
from model.density import BINS, Histogram, bin_of
from model.predictor import Prediction


class Grows(Protocol):
    """Something that foresees a symbol in a context, and can be told which one came."""

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """(symbols,) of what comes in this context."""

    def learn(self, context: Sequence[int], symbol: int) -> None:
        """`symbol` came in this context."""


class GrowingCounts:
    """`NestedCounts` that learn on, event by event; those they start from stay as they are."""

    def __init__(self, fitted: NestedCounts, depth: int) -> None:
        self.fitted, self.depth = fitted, depth
        self._nodes: dict[tuple[int, ...], _Node | None] = {}  # by context, what matters most first

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """(symbols,) in a context of at least `depth` values."""
        probability = np.full(self.fitted.symbols, 1 / self.fitted.symbols)
        for length in range(self.depth + 1):
            node = self._find(tuple(context[:length]))
            if node is None:
                break
            left = self.fitted.strength * len(node.count)
            probability *= left
            probability[list(node.count)] += list(node.count.values())
            probability /= node.total + left
        return probability

    def learn(self, context: Sequence[int], symbol: int) -> None:
        """`symbol` came in this context."""
        for length in range(self.depth + 1):
            place = tuple(context[:length])
            node = self._find(place)
            if node is None:
                node = self._nodes[place] = _Node({}, 0)
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


class GrowingSlices:
    """A `SliceTable` that learns on."""

    def __init__(self, fitted: SliceTable) -> None:
        self.fitted = fitted
        self.counts = GrowingCounts(fitted.counts, fitted.used + 1)

    def predict(self, segment: Segment) -> Histogram:
        """The densities of a segment's slices, each given its own mark and learned after it was foreseen."""
        return Histogram(foreseen(self.counts, self.fitted.context(segment), bin_of(segment.slice_us()), BINS))


def foreseen(counts: Grows, context: np.ndarray, symbol: np.ndarray, symbols: int) -> np.ndarray:
    """(n, symbols) probabilities, each from what was learned before."""
    probability = np.empty((len(symbol), symbols))
    for row, (around, one) in enumerate(zip(context.tolist(), symbol.tolist(), strict=True)):
        probability[row] = counts.probabilities(around)
        counts.learn(around, one)
    return probability


class Learner:
    """Predicts segments one after the other. One that does not follow on the last begins with what was fitted."""

    def __init__(
        self, begin: Callable[[], Grows], slices: SliceTable, context: Callable[[Segment], np.ndarray], marks: int
    ) -> None:
        """`begin` gives the marks' counts as they were fitted; `context` (n, m) what they are asked with."""
        self._begin, self._fitted_slices, self._context, self._symbols = begin, slices, context, marks
        self._last: Segment | None = None

    def predict(self, segment: Segment) -> Prediction:
        """Each event foreseen, and then learned from."""
        last = self._last
        if last is None or last.stream is not segment.stream or last.stop != segment.start:
            self._marks, self._slices = self._begin(), GrowingSlices(self._fitted_slices)
        self._last = segment
        mark = segment.of(segment.stream.mark)
        probability = foreseen(self._marks, self._context(segment), mark, self._symbols)
        return Prediction(np.log(probability), self._slices.predict(segment))

"""A chain over marks, end states and slice lengths: the counts for predictors with the inputs `slices`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model.counts.nested import STRENGTHS, NestedCounts
from model.counts.online import OnlinePredictor
from model.counts.slice_histograms import WINDOW, HistorySliceHistograms
from model.data.lags import Past, slice_us_of
from model.data.streams import STATES, Segment
from model.predictors.count_based import CountBased
from model.settings import SliceMarkovSettings

BINS_TRIED = (2, 4, 8, 16)


class SliceMarkov(CountBased):
    """Up to `max_order` events of history, each as its mark, then its end state with one of `bins` classes of length.

    The validation part chooses how far to look back, whether the state and length of the earliest event are used, and,
    if they are not set, the number of classes and the strength (see `model.counts.nested`).
    """

    inputs = "slices"
    slice_lags = WINDOW
    settings_type = SliceMarkovSettings

    def __init__(self, **settings: Any) -> None:
        chosen = SliceMarkovSettings(**settings)
        super().__init__(depth=2 * chosen.max_order, lags=chosen.max_order)
        self.max_order, self.bins, self.strength = chosen.max_order, chosen.bins, chosen.strength
        self.strengths = STRENGTHS if chosen.strength is None else (chosen.strength,)
        self.classes = chosen.bins or BINS_TRIED[0]
        self.edges_us: np.ndarray = np.zeros(0)

    def count(self, train: Sequence[Segment], valid: Sequence[Segment]) -> list[dict[str, float]]:
        """Count once for each number of classes tried, and again with the best; return the history of the best."""
        if self.bins is None and valid:
            bits = {}
            for self.classes in BINS_TRIED:
                bits[self.classes] = min(row["valid_bits"] for row in self._count(train, valid))
            self.classes = min(bits, key=lambda classes: bits[classes])
        return self._count(train, valid)

    def _count(self, train: Sequence[Segment], valid: Sequence[Segment]) -> list[dict[str, float]]:
        self.counts = NestedCounts(self.marks, self.values(self.marks), self.depth)
        return super().count(train, valid)

    def slice_histograms(self, marks: int) -> HistorySliceHistograms:
        """Make empty histograms over the same inputs as the counts of marks."""
        return HistorySliceHistograms(marks)

    def values(self, marks: int) -> int:
        """Return the bound of a column: of a mark, or of a state with a class of length."""
        return max(marks + 1, len(STATES) * self.classes)

    def prepare(self, train: Sequence[Segment]) -> None:
        """Set the classes of length, equally common in the train part."""
        self.edges_us = np.quantile(slice_us_of(train), np.arange(1, self.classes) / self.classes)

    def columns(self, past: Past) -> np.ndarray:
        """Return the mark, then the state with length, of the latest event, then of the one before, ..."""
        length = np.searchsorted(self.edges_us, past.slice_us)
        ended = past.end_state * self.classes + length
        both = np.stack([past.mark, ended], axis=2)[:, : self.max_order]
        return both.reshape(len(past.mark), -1).astype(np.int64)

    def learner(self) -> OnlinePredictor:
        """Return one that goes on counting, with the classes of length of the train part."""
        return self.online_predictor()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the counts and the edges of the classes."""
        return {"edges_us": self.edges_us, **super().arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        self.edges_us = np.array(arrays["edges_us"])
        self.classes = len(self.edges_us) + 1
        super().restore(arrays)

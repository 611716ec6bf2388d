"""How long a slice lasts, by histograms: the time side of every predictor that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.counts import NestedCounts
from model.data import Segment
from model.density import BINS, Histogram, bin_of
from model.history import own, own_us, past_marks


class SliceTable:
    """Histograms of dt given the event's own mark and `lags` marks before it, each backing off to the shorter one."""

    def __init__(self, marks: int, lags: int) -> None:
        self.lags, self.absent = lags, marks
        self.counts = NestedCounts(BINS, marks + 1, lags + 1)

    def fit(self, segments: Sequence[Segment]) -> None:
        """Count the slices of `segments`."""
        self.counts.fit(self._context(segments), bin_of(own_us(segments)))

    def predict(self, segment: Segment) -> Histogram:
        """The densities of a segment's slices, each given its own mark."""
        return Histogram(self.counts.probabilities(self._context([segment])))

    def of(self, mark: int, past: Sequence[int]) -> Histogram:
        """The density of one slice of `mark` after the marks in `past`, the latest first, at least `lags` of them."""
        return Histogram(self.counts.probabilities(np.array([[mark, *past[: self.lags]]], np.int64)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything counted."""
        return {f"slice.{name}": array for name, array in self.counts.arrays().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        self.counts.restore({name[6:]: array for name, array in arrays.items() if name.startswith("slice.")})

    def _context(self, segments: Sequence[Segment]) -> np.ndarray:
        mine = own(segments, "mark").astype(np.int64)[:, None]
        return np.concatenate([mine, past_marks(segments, self.lags, self.absent)], axis=1)

"""How long a slice lasts, by histograms: the time side of every predictor that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model.counts.nested import NestedCounts
from model.data.lags import Past, past_marks
from model.data.streams import Segment
from model.density import BINS, Histogram, bin_of


class SliceTable:
    """Histograms of dt given the event's own mark and `lags` marks before it, each backing off to the shorter one."""

    def __init__(self, marks: int, lags: int) -> None:
        self.lags, self.absent = lags, marks
        self.used = lags  # `choose` may find fewer to be better
        self.counts = NestedCounts(BINS, marks + 1, lags + 1)

    def fit(self, segments: Sequence[Segment]) -> None:
        """Count the slices of `segments`."""
        self.counts.fit_parts(self._parts(segments))

    def choose(self, valid: Sequence[Segment]) -> None:
        """Look back only as far as pays on `valid`, and believe the longest contexts as much."""
        depths = range(1, self.counts.depth + 1)
        bits = self.counts.choose(self._parts(valid), depths)
        self.used = int(bits[1:].argmin())

    def predict(self, segment: Segment) -> Histogram:
        """The densities of a segment's slices, each given its own mark."""
        return Histogram(self.counts.probabilities(self.context(segment), self.used + 1))

    def of(self, mark: int, past: Sequence[int]) -> Histogram:
        """The density of one slice of `mark` after the marks in `past`, the latest first, at least `lags` of them."""
        context = np.array([[mark, *past[: self.lags]]], np.int64)
        return Histogram(self.counts.probabilities(context, self.used + 1))

    def of_past(self, mark: int, past: Past) -> Histogram:
        """The same after what lies in the one row of `past`."""
        return self.of(mark, past.mark[0].tolist())

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything counted, and how far it is looked back."""
        counted = {f"slice.{name}": array for name, array in self.counts.arrays().items()}
        return {"slice_lags": np.array([self.used], np.int64), **counted}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        self.used = int(arrays["slice_lags"][0])
        self.counts.restore({name[6:]: array for name, array in arrays.items() if name.startswith("slice.")})

    def context(self, segment: Segment) -> np.ndarray:
        """(n, 1 + lags) int64: each event's own mark, and those before it, the latest first."""
        mine = segment.of(segment.stream.mark).astype(np.int64)[:, None]
        return np.concatenate([mine, past_marks([segment], self.lags, self.absent)], axis=1)

    def _parts(self, segments: Sequence[Segment]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in (part for segment in segments for part in segment.parts()):
            yield self.context(part), bin_of(part.slice_us())

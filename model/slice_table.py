"""How long a slice lasts, by histograms: the time side of every predictor that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.counts import NestedCounts
from model.data import Segment
from model.density import BINS, Histogram, bin_of
from model.history import past_marks

CHOSEN_BY = 1 << 14  # events that are gone through at once; 160 probabilities each


class SliceTable:
    """Histograms of dt given the event's own mark and `lags` marks before it, each backing off to the shorter one."""

    def __init__(self, marks: int, lags: int) -> None:
        self.lags, self.absent = lags, marks
        self.used = lags  # `choose` may find fewer to be better
        self.counts = NestedCounts(BINS, marks + 1, lags + 1)

    def fit(self, segments: Sequence[Segment]) -> None:
        """Count the slices of `segments`."""
        pieces = [part for segment in segments for part in segment.parts()]
        self.counts.fit_parts((self.context(part), bin_of(part.slice_us())) for part in pieces)

    def choose(self, valid: Sequence[Segment]) -> None:
        """Look back only as far as pays on `valid`."""
        nats = np.zeros(self.lags + 1)
        for part in (part for segment in valid for part in segment.parts(CHOSEN_BY)):
            context, dt_us = self.context(part), part.slice_us()
            for lags in range(self.lags + 1):
                nats[lags] -= Histogram(self.counts.probabilities(context, lags + 1)).log_pdf(dt_us).sum()
        self.used = int(nats.argmin())

    def predict(self, segment: Segment) -> Histogram:
        """The densities of a segment's slices, each given its own mark."""
        return Histogram(self.counts.probabilities(self.context(segment), self.used + 1))

    def of(self, mark: int, past: Sequence[int]) -> Histogram:
        """The density of one slice of `mark` after the marks in `past`, the latest first, at least `lags` of them."""
        context = np.array([[mark, *past[: self.lags]]], np.int64)
        return Histogram(self.counts.probabilities(context, self.used + 1))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything counted."""
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

"""How long a slice lasts, by histograms: the time side of every predictor that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model.counts.nested import NestedCounts
from model.data.lags import Past, past_marks, slice_us_of
from model.data.streams import STATES, Segment
from model.density import BINS, Histogram, bin_of

WINDOW = 8  # events searched for the mark's own last slice
CLASSES = 16  # of slice length, equally common in the train part
COLUMNS = 10  # of a context


class SliceHistograms:
    """Histograms of dt given the event's own mark and up to `lags` marks before it, blended over fewer marks."""

    def __init__(self, marks: int, lags: int) -> None:
        self.lags, self.marks = lags, marks
        self.absent = marks  # stands for an event before the stream's first
        self.used = lags  # marks before the event; `choose` may lower it
        self.counts = NestedCounts(BINS, marks + 1, lags + 1)

    def fit(self, segments: Sequence[Segment]) -> None:
        """Count the slices of `segments`."""
        self.counts.fit_parts(self._parts(segments))

    def choose(self, valid: Sequence[Segment]) -> None:
        """Choose how far to look back, and the strength of the counts, by the bits on `valid`."""
        depths = range(1, self.counts.depth + 1)
        bits = self.counts.choose(self._parts(valid), depths)
        self.used = int(bits[1:].argmin())

    def predict(self, segment: Segment) -> Histogram:
        """Return the densities of a segment's slices, each given its own mark."""
        return Histogram(self.counts.probabilities(self.context(segment), self.used + 1))

    def after_marks(self, mark: int, past: Sequence[int]) -> Histogram:
        """Return the density of one slice of `mark` after at least `lags` marks, the latest first."""
        context = np.array([[mark, *past[: self.lags]]], np.int64)
        return Histogram(self.counts.probabilities(context, self.used + 1))

    def after(self, mark: int, past: Past) -> Histogram:
        """Return the density of one slice of `mark` after the single row of `past`."""
        return self.after_marks(mark, past.mark[0].tolist())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the counts, and how far to look back."""
        counted = {f"slice.{name}": array for name, array in self.counts.arrays().items()}
        return {"slice_lags": np.array([self.used], np.int64), **counted}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        self.used = int(arrays["slice_lags"][0])
        self.counts.restore({name[6:]: array for name, array in arrays.items() if name.startswith("slice.")})

    def context(self, segment: Segment) -> np.ndarray:
        """Return (n, 1 + lags) int64 contexts: the event's own mark, then those before it, the latest first."""
        mine = segment.of(segment.stream.mark).astype(np.int64)[:, None]
        return np.concatenate([mine, past_marks([segment], self.lags, self.absent)], axis=1)

    def _parts(self, segments: Sequence[Segment]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in (part for segment in segments for part in segment.parts()):
            yield self.context(part), bin_of(part.slice_us())


class HistorySliceHistograms(SliceHistograms):
    """Histograms of dt given the event's own mark and a context of COLUMNS - 1 columns, the most useful first.

    These are: the marks of the last two events; how the mark's own last slice ended and how long it was; the same of
    the last two events; then mark, end and length of the two events before those. On little data only the first are
    used, and it equals `SliceHistograms`.
    """

    def __init__(self, marks: int) -> None:
        self.lags, self.marks, self.absent = WINDOW, marks, marks
        self.used = COLUMNS - 1
        self.edges_us: np.ndarray = np.zeros(CLASSES - 1)
        self.counts = NestedCounts(BINS, max(marks, len(STATES) * CLASSES) + 1, COLUMNS)

    def fit(self, segments: Sequence[Segment]) -> None:
        """Set the classes of slice length by `segments`, and count their slices."""
        self.edges_us = np.quantile(slice_us_of(segments), np.arange(1, CLASSES) / CLASSES)
        super().fit(segments)

    def after(self, mark: int, past: Past) -> Histogram:
        """Return the density of one slice of `mark` after the single row of `past`."""
        context = self.columns(np.array([mark]), past)
        return Histogram(self.counts.probabilities(context, self.used + 1))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the counts, how far to look back, and the edges of the classes."""
        return {"slice_edges_us": self.edges_us, **super().arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned. ValueError for histograms of an earlier version, which used marks alone."""
        if "slice_edges_us" not in arrays:
            raise ValueError("its histograms of slices are those of an earlier version")
        self.edges_us = np.array(arrays["slice_edges_us"])
        super().restore(arrays)

    def context(self, segment: Segment) -> np.ndarray:
        """Return (n, COLUMNS) int64 contexts, the event's own mark first."""
        return self.columns(segment.of(segment.stream.mark).astype(np.int64), Past.of([segment], WINDOW, self.absent))

    def columns(self, mark: np.ndarray, past: Past) -> np.ndarray:
        """Return (n, COLUMNS) int64 contexts for marks (n,) and the past before them."""
        ended = past.end_state * CLASSES + np.searchsorted(self.edges_us, past.slice_us)
        before, end = past.mark.T, ended.T
        latest = [mark, before[0], before[1], self._last(mark, past, ended), end[0], end[1]]
        return np.stack([*latest, before[2], end[2], before[3], end[3]], axis=1)

    def _last(self, mark: np.ndarray, past: Past, ended: np.ndarray) -> np.ndarray:
        """Return (n,) the end and length of the latest event of the same mark; an extra value if none is in WINDOW."""
        same = past.mark[:, :WINDOW] == mark[:, None]
        latest = ended[np.arange(len(mark)), same.argmax(axis=1)]
        return np.where(same.any(axis=1), latest, len(STATES) * CLASSES)

"""How long a slice lasts, by histograms over all that the `slices` regime sees of the events before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.counts.nested import NestedCounts
from model.counts.slice_table import SliceTable
from model.data.lags import Past, own_us
from model.data.streams import STATES, Segment
from model.density import BINS, Histogram

WINDOW = 8  # events looked back at for when the mark last ran
CLASSES = 16  # of length, equally common in the train part
COLUMNS = 10


class SliceHistory(SliceTable):
    """Histograms of dt given the event's own mark and, each backing off to those before it: the two marks before; how
    the mark's own last slice ended and how long it was; the same of the two events before; and of the two events before
    those the mark, and how it ended and how long it was.

    The marks alone come first, so that on little data it is a `SliceTable`.
    """

    def __init__(self, marks: int) -> None:
        self.lags, self.absent = WINDOW, marks
        self.used = COLUMNS - 1
        self.edges_us: np.ndarray = np.zeros(CLASSES - 1)
        self.counts = NestedCounts(BINS, max(marks, len(STATES) * CLASSES) + 1, COLUMNS)

    def fit(self, segments: Sequence[Segment]) -> None:
        """Set the classes of length by `segments`, and count their slices."""
        self.edges_us = np.quantile(own_us(segments), np.arange(1, CLASSES) / CLASSES)
        super().fit(segments)

    def of_past(self, mark: int, past: Past) -> Histogram:
        """The density of one slice of `mark` after what lies in the one row of `past`."""
        context = self.columns(np.array([mark]), past)
        return Histogram(self.counts.probabilities(context, self.used + 1))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything counted, how far it is looked back, and the edges of the classes."""
        return {"slice_edges_us": self.edges_us, **super().arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave. ValueError for a table that saw marks alone, as it did in earlier versions."""
        if "slice_edges_us" not in arrays:
            raise ValueError("its slices are told by marks alone, as in an earlier version")
        self.edges_us = np.array(arrays["slice_edges_us"])
        super().restore(arrays)

    def context(self, segment: Segment) -> np.ndarray:
        """(n, COLUMNS) int64, the event's own mark first."""
        return self.columns(segment.of(segment.stream.mark).astype(np.int64), Past.of([segment], WINDOW, self.absent))

    def columns(self, mark: np.ndarray, past: Past) -> np.ndarray:
        """(n, COLUMNS) int64 for marks (n,) and the past before them."""
        ended = past.end_state * CLASSES + np.searchsorted(self.edges_us, past.slice_us)
        before, end = past.mark.T, ended.T
        told = [mark, before[0], before[1], self._last(mark, past, ended), end[0], end[1]]
        return np.stack([*told, before[2], end[2], before[3], end[3]], axis=1)

    def _last(self, mark: np.ndarray, past: Past, ended: np.ndarray) -> np.ndarray:
        """(n,) how the latest event of the same mark ended and how long it was; a value apart where none is near."""
        same = past.mark[:, :WINDOW] == mark[:, None]
        latest = ended[np.arange(len(mark)), same.argmax(axis=1)]
        return np.where(same.any(axis=1), latest, len(STATES) * CLASSES)

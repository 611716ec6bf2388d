"""A universal compressor over marks (see `model.counts.context_tree`); it has no order to choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from model.counts.context_tree import ContextTree
from model.counts.online import OnlinePredictor
from model.counts.slice_histograms import SliceHistograms
from model.data.lags import past_marks
from model.data.streams import Segment
from model.density import Histogram
from model.predictor import OnProgress, Prediction
from model.settings import CtwSettings, WithSettings

SLICE_LAGS = 2


class Ctw(WithSettings):
    """Contexts of up to `depth` marks."""

    inputs = "marks"
    seeded = False

    settings_type = CtwSettings

    def __init__(self, **settings: Any) -> None:
        self.depth = CtwSettings(**settings).depth

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Learn the train part, event by event; there is no history."""
        on_progress("counting", 0, None)
        self._shape(marks)
        for part in (part for segment in train for part in segment.parts()):
            for context, mark in self._events(part):
                self.tree.learn(context, mark)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
        return []

    def predict(self, segment: Segment) -> Prediction:
        """Predict marks by the tree, slices by the histograms."""
        probability = np.empty((len(segment), self.marks))
        for row, (context, _) in enumerate(self._events(segment)):
            probability[row] = self.tree.probabilities(context)
        return Prediction(np.log(probability), self.slices.predict(segment))

    def session(self, segment: Segment) -> CtwSession:
        """Start a session before the first event of the segment."""
        first = Segment(segment.stream, segment.start, segment.start + 1)
        past = past_marks([first], max(self.depth, SLICE_LAGS), self.marks)[0].tolist()
        return CtwSession(self, past)

    def learner(self) -> OnlinePredictor:
        """Return one whose tree goes on growing."""
        return OnlinePredictor(
            lambda: ContextTree(self.marks, self.depth, below=self.tree),
            self.slices,
            lambda segment: past_marks([segment], self.depth, self.marks),
            self.marks,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the tree and the histograms."""
        return {"marks": np.array([self.marks]), **self.tree.arrays(), **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        self._shape(int(arrays["marks"][0]))
        self.tree.restore(arrays)
        self.slices.restore(arrays)

    def _shape(self, marks: int) -> None:
        self.marks, self.tree = marks, ContextTree(marks, self.depth)
        self.slices = SliceHistograms(marks, SLICE_LAGS)

    def _events(self, segment: Segment) -> Iterator[tuple[list[int], int]]:
        past = past_marks([segment], self.depth, self.marks).tolist()
        return zip(past, segment.of(segment.stream.mark).tolist(), strict=True)


class CtwSession:
    """The last marks of one stream."""

    def __init__(self, ctw: Ctw, past: list[int]) -> None:
        self.ctw, self.past = ctw, past  # the latest first

    def marks(self) -> np.ndarray:
        """Return (marks,) probabilities of the next mark."""
        return self.ctw.tree.probabilities(self.past[: self.ctw.depth])

    def slice_of(self, mark: int) -> Histogram:
        """Return the density of the next slice if `mark` is picked."""
        return self.ctw.slices.after_marks(mark, self.past)

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Prepend the mark to the past."""
        self.past = [mark, *self.past[:-1]]

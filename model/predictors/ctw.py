"""A universal compressor over marks (`model.counts.context_tree`); it needs neither an order nor a stopping rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model.counts.context_tree import ContextTree
from model.counts.online import Learner
from model.counts.slice_table import SliceTable
from model.data.lags import past_marks
from model.data.streams import Segment
from model.density import Histogram
from model.errors import SettingError
from model.predictor import OnProgress, Prediction

LONGEST = 16
SLICE_LAGS = 2


class Ctw:
    """Contexts of up to `depth` marks."""

    inputs = "marks"
    seeded = False

    def __init__(self, depth: int = 8) -> None:
        if not 1 <= depth <= LONGEST:
            raise SettingError(f"ctw: expected a depth of 1 to {LONGEST}")
        self.depth = depth

    def settings(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {"depth": self.depth}

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Learn the train part, event by event."""
        on_progress("counting", 0, None)
        self._shape(marks)
        for piece in (part for segment in train for part in segment.parts()):
            for context, mark in self._events(piece):
                self.tree.learn(context, mark)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
        return []

    def predict(self, segment: Segment) -> Prediction:
        """Each event from what the train part taught."""
        probability = np.empty((len(segment), self.marks))
        for row, (context, _) in enumerate(self._events(segment)):
            probability[row] = self.tree.probabilities(context)
        return Prediction(np.log(probability), self.slices.predict(segment))

    def session(self, segment: Segment) -> CtwSession:
        """Walk on from before the segment's first event."""
        first = Segment(segment.stream, segment.start, segment.start + 1)
        past = past_marks([first], max(self.depth, SLICE_LAGS), self.marks)[0].tolist()
        return CtwSession(self, past)

    def learner(self) -> Learner:
        """One whose tree goes on growing."""
        return Learner(
            lambda: ContextTree(self.marks, self.depth, below=self.tree),
            self.slices,
            lambda segment: past_marks([segment], self.depth, self.marks),
            self.marks,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The tree and the histograms."""
        return {"marks": np.array([self.marks]), **self.tree.arrays(), **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        self._shape(int(arrays["marks"][0]))
        self.tree.restore(arrays)
        self.slices.restore(arrays)

    def _shape(self, marks: int) -> None:
        self.marks, self.tree = marks, ContextTree(marks, self.depth)
        self.slices = SliceTable(marks, SLICE_LAGS)

    def _events(self, segment: Segment) -> Iterator[tuple[list[int], int]]:
        past = past_marks([segment], self.depth, self.marks).tolist()
        return zip(past, segment.of(segment.stream.mark).tolist(), strict=True)


class CtwSession:
    """The last marks of one stream."""

    def __init__(self, ctw: Ctw, past: list[int]) -> None:
        self.ctw, self.past = ctw, past  # the latest first

    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""
        return self.ctw.tree.probabilities(self.past[: self.ctw.depth])

    def slice_of(self, mark: int) -> Histogram:
        """The density of the next slice, should `mark` be picked."""
        return self.ctw.slices.of(mark, self.past)

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Remember the mark."""
        self.past = [mark, *self.past[:-1]]

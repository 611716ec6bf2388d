"""What tree predictors share: features with recency, histograms of dt, and walking on over a tail of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.counts.slice_table import SliceTable
from model.data.lags import own
from model.data.streams import Segment
from model.density import Histogram
from model.predictor import OnProgress, Prediction
from model.predictors.recency import TRACKED, WINDOW, Tail, features

SLICE_LAGS = 2


class Trees:
    """A subclass learns from features (`learn`) and says probabilities (`probabilities`)."""

    inputs = "slices"
    seeded = False

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Learn from the train part, stop by the validation part."""
        on_progress("growing trees", 0, None)
        common = np.argsort(-np.bincount(own(train, "mark"), minlength=marks), kind="stable")
        self._shape(marks, np.sort(common[:TRACKED]))
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
        held_out = (self.features(valid), own(valid, "mark")) if valid else None
        return self.learn((self.features(train), own(train, "mark")), held_out)

    def learn(
        self, train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray] | None
    ) -> list[dict[str, float]]:
        """Grow from features (n, f) and marks (n,)."""
        return []

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """(n, marks) for features (n, f)."""
        return np.full((len(rows), self.marks), 1 / self.marks)

    def features(self, segments: Sequence[Segment]) -> np.ndarray:
        """(events, f) float32 over all segments."""
        parts = [(Tail.of(segment), len(segment)) for segment in segments]
        return np.concatenate([features(tail, at, at + size, self.tracked) for (tail, at), size in parts])

    def predict(self, segment: Segment) -> Prediction:
        """Marks from the trees, slices from the histograms."""
        return Prediction(np.log(self.probabilities(self.features([segment]))), self.slices.predict(segment))

    def session(self, segment: Segment) -> TreesSession:
        """Walk on from before the segment's first event."""
        tail, at = Tail.of(segment)
        return TreesSession(self, Tail(tail.mark[:at], tail.slice_us[:at], tail.end_state[:at]))

    def arrays(self) -> dict[str, np.ndarray]:
        """The histograms and which marks are tracked."""
        return {"marks": np.array([self.marks]), "tracked": self.tracked, **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        self._shape(int(arrays["marks"][0]), np.array(arrays["tracked"]))
        self.slices.restore(arrays)

    def _shape(self, marks: int, tracked: np.ndarray) -> None:
        self.marks, self.tracked = marks, tracked
        self.slices = SliceTable(marks, SLICE_LAGS)


class TreesSession:
    """The last WINDOW events of one stream."""

    def __init__(self, trees: Trees, tail: Tail) -> None:
        self.trees, self.tail = trees, tail

    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""
        size = len(self.tail.mark)
        return self.trees.probabilities(features(self.tail, size, size + 1, self.trees.tracked))[0]

    def slice_of(self, mark: int) -> Histogram:
        """The density of the next slice, should `mark` be picked."""
        absent = [self.trees.marks] * SLICE_LAGS
        return self.trees.slices.of(mark, [*self.tail.mark[: -SLICE_LAGS - 1 : -1].tolist(), *absent])

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Remember what happened, and forget what is too long ago."""
        added = (mark, slice_us, end_state)
        kept = (self.tail.mark, self.tail.slice_us, self.tail.end_state)
        self.tail = Tail(*(np.append(old, new)[-WINDOW:] for old, new in zip(kept, added, strict=True)))

"""What every policy that orders the runnable tasks shares: fitting how far its order can be trusted, and predicting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.counts.slice_histograms import SliceHistograms
from model.data.streams import Segment
from model.predictor import OnProgress, Prediction
from model.replay.ranking import Ranking, RankTable
from model.settings import WithSettings

SLICE_LAGS = 2


class Ranked(WithSettings):
    """A policy names an order (`order`); the rest is counting. Slices are foreseen by histograms."""

    inputs = "runqueue"
    seeded = False

    def __init__(self) -> None:
        self.table = RankTable()

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """For each event of the segment, the runnable tids, the likeliest first."""
        return [segment.stream.runnable(event).tolist() for event in range(segment.start, segment.stop)]

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Count how often the policy's first, second, ... choice was picked."""
        on_progress("ordering the runnable tasks", 0, None)
        self.table.fit(joined([self.ranking(segment) for segment in train]), train, marks)
        self._shape(marks)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
        return []

    def ranking(self, segment: Segment) -> Ranking:
        """The policy's order, with marks."""
        return Ranking.of(segment, self.order(segment))

    def predict(self, segment: Segment) -> Prediction:
        """Marks from the order, slices from the histograms."""
        return Prediction(self.table.log_probs(self.ranking(segment)), self.slices.predict(segment))

    def session(self, segment: Segment) -> None:
        """None: there is no run queue beyond what was recorded."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything counted."""
        return {**self.table.arrays(), **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        self.table.restore(arrays)
        self._shape(len(self.table.common))
        self.slices.restore(arrays)

    def _shape(self, marks: int) -> None:
        self.slices = SliceHistograms(marks, SLICE_LAGS)


def joined(rankings: Sequence[Ranking]) -> Ranking:
    """One ranking of the events of several segments."""
    sizes = np.concatenate([np.diff(ranking.at) for ranking in rankings])
    return Ranking(
        np.concatenate([ranking.mark for ranking in rankings]),
        np.concatenate([ranking.tid for ranking in rankings]),
        np.concatenate([[0], np.cumsum(sizes)]),
    )

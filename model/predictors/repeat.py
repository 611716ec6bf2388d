"""The mark of a fixed number of events ago comes again: the simplest memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model.data.lags import Past, past_marks
from model.data.streams import Segment
from model.predictor import OnProgress, Prediction
from model.predictors.count_based import CountBased, CountBasedSession
from model.settings import RepeatSettings

FURTHEST = 8  # the largest `lag`


class Repeat(CountBased):
    """The mark of `lag` events ago, as likely as it was right in the train part; else by how common marks are.

    Without a `lag`, the one up to FURTHEST that is right most often in the train part.
    """

    inputs = "marks"

    settings_type = RepeatSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__(depth=0, lags=FURTHEST)
        self.lag = RepeatSettings(**settings).lag
        self.right: np.ndarray = np.zeros(FURTHEST)  # share of the train part, by lag

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Count how often each lag is right; return one row per lag."""
        super().fit(train, valid, marks, on_progress)
        right = np.zeros(FURTHEST)
        for part in (part for segment in train for part in segment.parts()):
            right += (past_marks([part], FURTHEST, marks) == part.of(part.stream.mark)[:, None]).sum(axis=0)
        self.right = (right + 0.5) / (sum(map(len, train)) + 1)
        return [{"lag": float(lag + 1), "train_top1": float(share)} for lag, share in enumerate(self.right)]

    def predict(self, segment: Segment) -> Prediction:
        """Give part of the probability to the mark that is due, and divide the rest by how common marks are."""
        probability = self.mixed(Past.of([segment], FURTHEST, self.absent))
        return Prediction(np.log(probability), self.slices.predict(segment))

    def mixed(self, past: Past) -> np.ndarray:
        """Return (n, marks) probabilities."""
        lag = int(np.argmax(self.right)) if self.lag is None else self.lag - 1
        due, known = past.mark[:, lag], past.mark[:, lag] < self.absent
        probability = self.counts.probabilities(np.zeros((len(due), 0), np.int64))
        probability[known] *= 1 - self.right[lag]
        probability[np.flatnonzero(known), due[known]] += self.right[lag]
        return probability

    def session(self, segment: Segment) -> RepeatSession:
        """Start a session before the first event of the segment."""
        first = Segment(segment.stream, segment.start, segment.start + 1)
        return RepeatSession(self, Past.of([first], FURTHEST, self.absent))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the counts, and how often each lag was right."""
        return {"right": self.right, **super().arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        super().restore(arrays)
        self.right = np.array(arrays["right"])


class RepeatSession(CountBasedSession):
    """The last events of one stream."""

    counted: Repeat

    def marks(self) -> np.ndarray:
        """Return (marks,) probabilities of the next mark."""
        return self.counted.mixed(self.past)[0]

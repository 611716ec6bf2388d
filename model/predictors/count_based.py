"""The base class of the predictors that count contexts: chooses the length of the contexts, predicts, rolls out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model.counts.nested import STRENGTHS, NestedCounts
from model.counts.online import OnlineNestedCounts, OnlinePredictor
from model.counts.slice_histograms import SliceHistograms
from model.data.lags import Past
from model.data.streams import Segment
from model.density import Histogram
from model.predictor import OnProgress, Prediction
from model.settings import WithSettings


class CountBased(WithSettings):
    """A subclass gives the columns of a context (`columns`), the most useful first, and how many `values` they have.

    `depth` columns are counted. The validation part chooses how many of them are used, unless `chosen` is False.
    """

    seeded = False
    slice_lags = 2  # marks in the contexts of the slice histograms
    strengths: Sequence[int] = STRENGTHS  # of the counts of marks, tried on the validation part
    counts: NestedCounts
    slices: SliceHistograms

    def __init__(self, depth: int, lags: int, chosen: bool = True) -> None:
        self.depth, self.lags, self.chosen = depth, lags, chosen

    def columns(self, past: Past) -> np.ndarray:
        """Return (n, depth) int64 contexts of events with this past."""
        return past.mark[:, : self.depth]

    def values(self, marks: int) -> int:
        """Return the bound that all values in contexts are below."""
        return marks + 1

    def slice_histograms(self, marks: int) -> SliceHistograms:
        """Make empty histograms of slices."""
        return SliceHistograms(marks, self.slice_lags)

    def prepare(self, train: Sequence[Segment]) -> None:
        """Measure on the train part what `columns` needs; nothing by default."""

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Count the train part; return one row per depth tried, with its bits on the validation part."""
        on_progress("counting", 0, None)
        self._shape(marks, self.depth)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
        return self.count(train, valid)

    def count(self, train: Sequence[Segment], valid: Sequence[Segment]) -> list[dict[str, float]]:
        """Count the marks, and choose by `valid` the depth that is used and the strength of the counts."""
        self.prepare(train)
        self.counts.fit_parts(self._parts(train))
        if not valid:
            self.counts.strength = self.strengths[0]
            return []
        tried = range(self.depth + 1) if self.chosen else [self.depth]
        bits = self.counts.choose(self._parts(valid), tried, self.strengths) / sum(map(len, valid))
        self.used = min(tried, key=lambda depth: bits[depth])
        return [{"order": float(depth), "valid_bits": float(bits[depth])} for depth in tried]

    def predict(self, segment: Segment) -> Prediction:
        """Predict marks by the counts, slices by the histograms."""
        probability = self.counts.probabilities(self._context([segment]), self.used)
        return Prediction(np.log(probability), self.slices.predict(segment))

    def online_predictor(self) -> OnlinePredictor:
        """Make the `learner` of a subclass that learns nothing but counts."""
        return OnlinePredictor(
            lambda: OnlineNestedCounts(self.counts, self.used),
            self.slices,
            lambda segment: self._context([segment]),
            self.absent,
        )

    def session(self, segment: Segment) -> CountBasedSession:
        """Start a session before the first event of the segment."""
        first = Segment(segment.stream, segment.start, segment.start + 1)
        return CountBasedSession(self, Past.of([first], max(self.lags, self.slice_lags, 1), self.absent))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the counts, and the depth that is used."""
        shape = np.array([self.marks, self.used], np.int64)
        return {"shape": shape, **self.counts.arrays(), **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        marks, used = (int(value) for value in arrays["shape"])
        self._shape(marks, used)
        self.counts.restore(arrays)
        self.slices.restore(arrays)

    def _shape(self, marks: int, used: int) -> None:
        self.marks, self.used = marks, used
        self.absent = marks  # stands for an event before the stream's first
        self.counts = NestedCounts(marks, self.values(marks), self.depth)
        self.slices = self.slice_histograms(marks)

    def _context(self, segments: Sequence[Segment]) -> np.ndarray:
        return self.columns(Past.of(segments, self.lags, self.absent))

    def _parts(self, segments: Sequence[Segment]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in (part for segment in segments for part in segment.parts()):
            yield self._context([part]), part.of(part.stream.mark)


class CountBasedSession:
    """The last events of one stream."""

    def __init__(self, counted: CountBased, past: Past) -> None:
        self.counted, self.past = counted, past

    def marks(self) -> np.ndarray:
        """Return (marks,) probabilities of the next mark."""
        return self.counted.counts.probabilities(self.counted.columns(self.past), self.counted.used)[0]

    def slice_of(self, mark: int) -> Histogram:
        """Return the density of the next slice if `mark` is picked."""
        return self.counted.slices.after(mark, self.past)

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Append an event to the past."""
        self.past = self.past.then(mark, slice_us, end_state)

"""What every predictor that counts contexts shares: choosing how much of a context pays, predicting, walking on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model.counts.nested import STRENGTHS, NestedCounts
from model.counts.online import GrowingCounts, Learner
from model.counts.slice_table import SliceTable
from model.data.lags import Past
from model.data.streams import Segment
from model.density import Histogram
from model.predictor import OnProgress, Prediction


class Counted:
    """A subclass says which columns make a context (`columns`), what matters most first, and how many values they have.

    `depth` columns are counted; how many of them are used is chosen on the validation part unless `chosen` is False.
    """

    seeded = False
    slice_lags = 2  # marks that the slice histograms look back at
    strengths: Sequence[int] = STRENGTHS  # of the counts of marks; tried on the validation part
    counts: NestedCounts
    slices: SliceTable

    def __init__(self, depth: int, lags: int, chosen: bool = True) -> None:
        self.depth, self.lags, self.chosen = depth, lags, chosen

    def columns(self, past: Past) -> np.ndarray:
        """(n, depth) int64 contexts of events with this past."""
        return past.mark[:, : self.depth]

    def values(self, marks: int) -> int:
        """All context values are below this."""
        return marks + 1

    def slice_table(self, marks: int) -> SliceTable:
        """The histograms of slices, empty."""
        return SliceTable(marks, self.slice_lags)

    def prepare(self, train: Sequence[Segment]) -> None:
        """Measure on the train part whatever `columns` needs; nothing by default."""

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Count the train part; the history has one row per depth tried, with its bits on the validation part."""
        on_progress("counting", 0, None)
        self._shape(marks, self.depth)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
        return self.count(train, valid)

    def count(self, train: Sequence[Segment], valid: Sequence[Segment]) -> list[dict[str, float]]:
        """Count the marks, and choose by `valid` how much of a context is used and how far it is believed."""
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
        """Marks from the counts, slices from the histograms."""
        probability = self.counts.probabilities(self._context([segment]), self.used)
        return Prediction(np.log(probability), self.slices.predict(segment))

    def counting_on(self) -> Learner:
        """A `learner` for subclasses whose counts are all that they learn."""
        return Learner(
            lambda: GrowingCounts(self.counts, self.used),
            self.slices,
            lambda segment: self._context([segment]),
            self.absent,
        )

    def session(self, segment: Segment) -> CountedSession:
        """Walk on from before the segment's first event."""
        first = Segment(segment.stream, segment.start, segment.start + 1)
        return CountedSession(self, Past.of([first], max(self.lags, self.slice_lags, 1), self.absent))

    def arrays(self) -> dict[str, np.ndarray]:
        """The counts, and the depth they are used to."""
        shape = np.array([self.absent, self.used], np.int64)
        return {"shape": shape, **self.counts.arrays(), **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        marks, used = (int(value) for value in arrays["shape"])
        self._shape(marks, used)
        self.counts.restore(arrays)
        self.slices.restore(arrays)

    def _shape(self, marks: int, used: int) -> None:
        self.absent, self.used = marks, used  # `absent` stands for the events before a stream's first
        self.counts = NestedCounts(marks, self.values(marks), self.depth)
        self.slices = self.slice_table(marks)

    def _context(self, segments: Sequence[Segment]) -> np.ndarray:
        return self.columns(Past.of(segments, self.lags, self.absent))

    def _parts(self, segments: Sequence[Segment]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in (part for segment in segments for part in segment.parts()):
            yield self._context([part]), part.of(part.stream.mark)


class CountedSession:
    """The last events of one stream."""

    def __init__(self, counted: Counted, past: Past) -> None:
        self.counted, self.past = counted, past

    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""
        return self.counted.counts.probabilities(self.counted.columns(self.past), self.counted.used)[0]

    def slice_of(self, mark: int) -> Histogram:
        """The density of the next slice, should `mark` be picked."""
        return self.counted.slices.of_past(mark, self.past)

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Remember what happened."""
        self.past = self.past.then(mark, slice_us, end_state)

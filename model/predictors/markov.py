"""Markov chain of the last few marks, interpolated over all shorter histories (see `model.counts`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.counts import NestedCounts
from model.data import Segment
from model.density import Histogram
from model.errors import SettingError
from model.history import own, past_marks
from model.predictors.protocol import OnProgress, Prediction
from model.slice_table import SliceTable

LONGEST = 8


class Markov:
    """`order` marks of history; left out, the order up to `max_order` with the fewest bits on the validation part."""

    regime = "marks"
    seeded = False
    slice_lags = 2  # marks that the slice histograms look back at

    def __init__(self, order: int | None = None, max_order: int = 5) -> None:
        deepest = max_order if order is None else order
        if not 0 <= deepest <= LONGEST:
            raise SettingError(f"markov: order {deepest}: expected 0 to {LONGEST}")
        self.order, self.max_order = order, max_order
        self.depth = deepest  # what is used; `fit` chooses it where no order was given

    def settings(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {"order": self.order, "max_order": self.max_order}

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Count the train part; the history has one row per order tried, with its bits on the validation part."""
        self._shape(marks, self.order if self.order is not None else self.max_order)
        on_progress("counting", 0, None)
        self.counts.fit(past_marks(train, self.depth, marks), own(train, "mark"))
        self.slices.fit(train)
        if not valid:
            return []
        self.slices.choose(valid)
        tried = range(self.depth + 1) if self.order is None else [self.depth]
        history = [{"order": float(order), "valid_bits": self._bits(valid, order)} for order in tried]
        self.depth = int(min(history, key=lambda row: row["valid_bits"])["order"])
        return history

    def predict(self, segment: Segment) -> Prediction:
        """Marks from the counts, slices from the histograms."""
        probability = self.counts.probabilities(self._context([segment]), self.depth)
        return Prediction(np.log(probability), self.slices.predict(segment))

    def session(self, segment: Segment) -> MarkovSession:
        """Walk on from before the segment's first event."""
        past = past_marks([Segment(segment.stream, segment.start, segment.start + 1)], LONGEST, self.absent)[0]
        return MarkovSession(self, past.tolist())

    def arrays(self) -> dict[str, np.ndarray]:
        """The counts, and the order they are used to."""
        shape = np.array([self.absent, self.counts.depth, self.depth], np.int64)
        return {"shape": shape, **self.counts.arrays(), **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        marks, counted, used = (int(value) for value in arrays["shape"])
        self._shape(marks, counted)
        self.depth = used
        self.counts.restore(arrays)
        self.slices.restore(arrays)

    def _shape(self, marks: int, depth: int) -> None:
        self.absent = marks  # stands for the events before a stream's first
        self.depth = depth
        self.counts = NestedCounts(marks, marks + 1, depth)
        self.slices = SliceTable(marks, self.slice_lags)

    def _context(self, segments: Sequence[Segment]) -> np.ndarray:
        return past_marks(segments, self.counts.depth, self.absent)

    def _bits(self, segments: Sequence[Segment], order: int) -> float:
        probability = self.counts.probabilities(self._context(segments), order)
        mine = probability[np.arange(len(probability)), own(segments, "mark")]
        return float(-np.log2(mine).mean())


class MarkovSession:
    """The last marks of one stream."""

    def __init__(self, markov: Markov, past: list[int]) -> None:
        self.markov, self.past = markov, past  # the latest first

    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""
        context = np.array([self.past[: self.markov.counts.depth]], np.int64)
        return self.markov.counts.probabilities(context, self.markov.depth)[0]

    def slice_of(self, mark: int) -> Histogram:
        """The density of the next slice, should `mark` be picked."""
        return self.markov.slices.of(mark, self.past)

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Remember the mark; a Markov chain sees nothing else."""
        self.past = [mark, *self.past[:-1]]

"""The table of the `slices` regime: a chain over marks, the states they left the CPU in, and how long they stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.counts.nested import STRENGTHS, NestedCounts
from model.counts.online import Learner
from model.counts.slice_history import WINDOW, SliceHistory
from model.data.lags import Past, own_us
from model.data.streams import STATES, Segment
from model.errors import SettingError
from model.predictors.count_based import Counted
from model.ranges import at_least

LONGEST = 8
BINS_TRIED = (2, 4, 8, 16)
MOST_BINS = 64


class SliceMarkov(Counted):
    """Up to `max_order` events of history, each as its mark, then its end state and one of `bins` classes of length.

    How far back to look, whether to look at the state and length of the event furthest back, and where they are not
    given the number of classes and the strength (see `model.counts.nested`), are chosen on the validation part.
    """

    inputs = "slices"
    slice_lags = WINDOW

    def __init__(self, max_order: int = LONGEST, bins: int | None = None, strength: int | None = None) -> None:
        if not 1 <= max_order <= LONGEST or not 1 <= (bins or 1) <= MOST_BINS:
            raise SettingError(f"slice_markov: expected a max_order of 1 to {LONGEST} and 1 to {MOST_BINS} bins")
        at_least(1, strength=strength)
        super().__init__(depth=2 * max_order, lags=max_order)
        self.max_order, self.bins, self.strength = max_order, bins, strength
        self.strengths = STRENGTHS if strength is None else (strength,)
        self.classes = bins or BINS_TRIED[0]
        self.edges_us: np.ndarray = np.zeros(0)

    def settings(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {"max_order": self.max_order, "bins": self.bins, "strength": self.strength}

    def count(self, train: Sequence[Segment], valid: Sequence[Segment]) -> list[dict[str, float]]:
        """Count once for each number of classes tried, and again with the best; the history is that of the best."""
        if self.bins is None and valid:
            bits = {}
            for self.classes in BINS_TRIED:
                bits[self.classes] = min(row["valid_bits"] for row in self._count(train, valid))
            self.classes = min(bits, key=lambda classes: bits[classes])
        return self._count(train, valid)

    def _count(self, train: Sequence[Segment], valid: Sequence[Segment]) -> list[dict[str, float]]:
        self.counts = NestedCounts(self.absent, self.values(self.absent), self.depth)
        return super().count(train, valid)

    def slice_table(self, marks: int) -> SliceHistory:
        """Histograms that see what the marks' counts see."""
        return SliceHistory(marks)

    def values(self, marks: int) -> int:
        """A column holds a mark, or a state and a class of length."""
        return max(marks + 1, len(STATES) * self.classes)

    def prepare(self, train: Sequence[Segment]) -> None:
        """Classes of length that are equally common in the train part."""
        self.edges_us = np.quantile(own_us(train), np.arange(1, self.classes) / self.classes)

    def columns(self, past: Past) -> np.ndarray:
        """Mark, state and length, of the latest event, then of the one before, ..."""
        length = np.searchsorted(self.edges_us, past.slice_us)
        ended = past.end_state * self.classes + length
        both = np.stack([past.mark, ended], axis=2)[:, : self.max_order]
        return both.reshape(len(past.mark), -1).astype(np.int64)

    def learner(self) -> Learner:
        """One that goes on counting, in the classes of length of the train part."""
        return self.counting_on()

    def arrays(self) -> dict[str, np.ndarray]:
        """The counts and the edges of the classes."""
        return {"edges_us": self.edges_us, **super().arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        self.edges_us = np.array(arrays["edges_us"])
        self.classes = len(self.edges_us) + 1
        super().restore(arrays)

"""What every predictor offers: fit, predict, walk on step by step, and be stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from model.data.streams import Segment
from model.density import Density

INPUTS = ("marks", "slices", "runqueue")

OnProgress = Callable[[str, float, float | None], None]
"""Told what is happening, how far it is and out of how much, in any unit."""


def unwatched(what: str, done: float, total: float | None) -> None:
    """An OnProgress that drops what it is told."""


@dataclass(frozen=True)
class Prediction:
    """For each of n events: (n, marks) natural log probabilities, and the density of dt given the event's own mark."""

    log_probs: np.ndarray
    dt: Density


class Session(Protocol):
    """One stream, walked event by event; what open-loop rollouts are made with."""

    def marks(self) -> np.ndarray:
        """(marks,) probabilities of the next mark."""

    def slice_of(self, mark: int) -> Density:
        """The density (n = 1) of the next slice, should `mark` be picked."""

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """What happened: `mark` ran for `slice_us` and left the CPU in `end_state`."""


class Predictor(Protocol):
    """One way to foresee the next event; a constructor takes keyword settings only and does no work."""

    inputs: str  # what it may look at, one of INPUTS
    seeded: bool  # whether chance plays a part in fitting; if so `seed` is among the settings

    def settings(self) -> dict[str, object]:
        """The constructor's arguments, fit for JSON."""

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Learn from `train`; choose by `valid`; return the history, a row per step of the search or the training."""

    def predict(self, segment: Segment) -> Prediction:
        """Foresee each event of the segment from what lies before it in its stream."""

    def session(self, segment: Segment) -> Session | None:
        """Stand before the segment's first event; None where its inputs exist only in a recording."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that was learned, as named arrays."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave; predictions are then the same, bit for bit."""


class SegmentPredictor(Protocol):
    """The part of a predictor that is scored."""

    def predict(self, segment: Segment) -> Prediction:
        """Foresee each event of the segment from what lies before it in its stream."""


@runtime_checkable
class OnlineLearner(Protocol):
    """A predictor that can go on learning while it predicts. `predict` itself never does: it is frozen."""

    def learner(self) -> SegmentPredictor:
        """One that begins with what was fitted, foresees segments that follow each other, and learns every event once
        it was foreseen. A segment that does not follow on the last one begins with what was fitted again."""

"""The protocol of predictors: fit, predict a segment, predict event by event in a session, store and restore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from model.data.streams import Segment
from model.density import Density

if TYPE_CHECKING:
    from model.one_step import OneStep

INPUTS = ("marks", "slices", "runqueue")

OnProgress = Callable[[str, float, float | None], None]
"""Called with what is happening, how much of it is done, and how much there is, in any unit."""


def ignore_progress(what: str, done: float, total: float | None) -> None:
    """An OnProgress that does nothing."""


@dataclass(frozen=True)
class Prediction:
    """(n, marks) natural log probabilities of the mark, and n densities of dt, each given the event's own mark.

    `tid`: (n,) the likeliest runnable task, -1 for none, from a predictor that sees the run queue. It names a task
    that has no mark yet.
    """

    log_probs: np.ndarray
    dt: Density
    tid: np.ndarray | None = None


class Session(Protocol):
    """A session over one stream: predicts and appends events one by one, as in an open-loop rollout."""

    def marks(self) -> np.ndarray:
        """Return (marks,) probabilities of the next mark."""

    def slice_of(self, mark: int) -> Density:
        """Return the density (n = 1) of the next slice if `mark` is picked."""

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Append an event: `mark` ran for `slice_us` and left the CPU in `end_state`."""


class Predictor(Protocol):
    """One way to predict the next event. The constructor takes settings by keyword, and does no work."""

    inputs: str  # what it may look at: one of INPUTS
    seeded: bool  # whether fitting depends on chance; if so `seed` is one of the settings

    def settings(self) -> dict[str, object]:
        """Return the constructor's arguments, fit for JSON."""

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Learn from `train`, choose by `valid`; return the history, a row per step of the search or the training.

        Raises StreamError where a part is too short. `marks` is the size of the vocabulary.
        """

    def predict(self, segment: Segment) -> Prediction:
        """Predict each event of the segment from the events before it in its stream."""

    def session(self, segment: Segment) -> Session | None:
        """Start a session before the first event of the segment; None if the predictor needs a recorded run queue."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that was learned, as named arrays."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned; predictions are then the same, bit for bit."""


class SegmentPredictor(Protocol):
    """The part of a predictor that is scored."""

    def predict(self, segment: Segment) -> Prediction:
        """Predict each event of the segment from the events before it in its stream."""


class TrainablePredictor(Protocol):
    """The part of a predictor that `model.evaluate` needs: what it scores need neither be stored nor roll out."""

    inputs: str  # what it may look at: one of INPUTS

    def fit(self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress) -> object:
        """Learn from `train`, choose by `valid`; `marks` is the size of the vocabulary, mark 0 is any other task."""

    def predict(self, segment: Segment) -> Prediction:
        """Predict each event of the segment from the events before it in its stream."""


@runtime_checkable
class OnlineLearner(Protocol):
    """A predictor that can also learn while it predicts. Its own `predict` never learns."""

    def learner(self) -> SegmentPredictor:
        """Return a predictor that starts as fitted, and learns each event after it has predicted it.

        Its segments should follow each other. One that does not follow the last makes it start again.
        """


@runtime_checkable
class Guesser(Protocol):
    """A predictor that needs facts which a recording may lack, and then guesses."""

    def guesses(self, folder: Path) -> list[str]:
        """Return what it guesses about a recording, each in words."""


@runtime_checkable
class Neural(Protocol):
    """A predictor that is a network."""

    def one_step(self) -> OneStep:
        """Return its step from one event to the next."""

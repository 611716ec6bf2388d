"""Is a predictor that someone else wrote fit to be scored? Its probabilities are, and it does not see the future."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model.data.streams import Segment, Stream
from model.errors import SettingError
from model.predictor import INPUTS, Prediction, TrainablePredictor

TOLERANCE = 1e-6  # of a sum of probabilities
LONGEST = 4096  # events that are predicted a second time, with another future


@dataclass(frozen=True)
class HonestPredictor:
    """Predicts what `predictor` does, or raises SettingError for what cannot be scored; `marks`: the vocabulary."""

    predictor: TrainablePredictor
    marks: int

    def predict(self, segment: Segment) -> Prediction:
        """Predict each event of the segment from the events before it in its stream."""
        prediction = self.predictor.predict(segment)
        require_probabilities(self._name, prediction, (len(segment), self.marks))
        return prediction

    def require_no_foresight(self, segment: Segment) -> None:
        """Raise SettingError if the prediction of an event changes with the event itself, or with later ones."""
        event = segment.start + min(len(segment), LONGEST) // 2
        until = event + 1
        seen, other = Segment(segment.stream, segment.start, until), _with_other_future(segment.stream, event)
        left, right = self.predict(seen), self.predict(Segment(other, segment.start, until))
        dt_us = seen.slice_us()[:-1]
        same_marks = np.array_equal(left.log_probs, right.log_probs)
        if same_marks and np.array_equal(left.dt.log_pdf(_padded(dt_us))[:-1], right.dt.log_pdf(_padded(dt_us))[:-1]):
            return
        raise SettingError(
            f"{self._name}.predict looks at the future: what it predicts up to event {event} changes when events from "
            f"{event} on do; expected each prediction to depend on earlier events alone"
        )

    @property
    def _name(self) -> str:
        return type(self.predictor).__name__


def require_inputs(predictor: TrainablePredictor) -> None:
    """Raise SettingError unless a predictor says what it may look at."""
    if (inputs := getattr(predictor, "inputs", None)) not in INPUTS:
        name = type(predictor).__name__
        raise SettingError(f"{name}.inputs is {inputs!r}: expected one of {', '.join(INPUTS)}")


def require_probabilities(name: str, prediction: Prediction, shape: tuple[int, int]) -> None:
    """Raise SettingError unless each event has a probability for each mark, and they add up to 1."""
    log_probs = np.asarray(prediction.log_probs)
    if log_probs.shape != shape:
        expected = f"{shape}, a row per event and a column per mark"
        raise SettingError(f"{name}.predict gives log_probs of shape {log_probs.shape}: expected {expected}")
    if not np.isfinite(log_probs).all():
        raise SettingError(f"{name}.predict gives a probability of 0 or none: expected every mark to be possible")
    sums = np.exp(log_probs).sum(axis=1)
    if (wrong := np.abs(sums - 1) > TOLERANCE).any():
        row = int(np.argmax(wrong))
        raise SettingError(
            f"{name}.predict: the probabilities of event {row} add up to {sums[row]:.6g}: expected 1; log_probs are "
            "natural logarithms of probabilities"
        )


def _padded(dt_us: np.ndarray) -> np.ndarray:
    """Add a slice for the event itself, whose density may depend on its mark."""
    return np.append(dt_us, 1.0)


def _with_other_future(stream: Stream, event: int) -> Stream:
    """Return a stream in which everything is different from `event` on, but for who was runnable at `event`."""
    later = stream.runnable_at[event + 1]
    names = ("mark", "tid", "slice_ns", "end_state", "runnable_tid", "runnable_mark")
    changes: dict[str, Any] = {name: np.array(getattr(stream, name)) for name in names}
    changes["mark"][event:] = 1 + changes["mark"][event:] % max(int(stream.mark.max()) - 1, 1)
    changes["tid"][event:] = 1 + changes["tid"][event:] % 4
    changes["slice_ns"][event:] = 50 * changes["slice_ns"][event:] + 1
    changes["end_state"][event:] = (changes["end_state"][event:] + 1) % 3
    changes["runnable_tid"][later:], changes["runnable_mark"][later:] = 1, 1
    return replace(stream, **changes)

"""Is a predictor that someone else wrote fit to be scored? Does it give probabilities, and look at what it may only?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model.data.streams import Segment, Stream
from model.errors import SettingError
from model.predictor import INPUTS, Prediction, TrainablePredictor

TOLERANCE = 1e-6  # of a sum of probabilities
LONGEST = 4096  # events that are predicted again from other streams
_QUEUE = ("wake_ns", "contested", "runnable_tid", "runnable_mark")
HIDDEN = {"runqueue": (), "slices": _QUEUE, "marks": (*_QUEUE, "start_ns", "slice_ns", "end_state")}  # by inputs


@dataclass(frozen=True)
class HonestPredictor:
    """Predicts what `predictor` does; SettingError for what cannot be scored. `marks`: the size of the vocabulary."""

    predictor: TrainablePredictor
    marks: int

    def predict(self, segment: Segment) -> Prediction:
        """Predict each event of the segment from the events before it in its stream."""
        prediction = self.predictor.predict(segment)
        require_probabilities(self._name, prediction, (len(segment), self.marks))
        return prediction

    def require_honesty(self, segment: Segment) -> None:
        """Raise SettingError if predictions change with later events, or with what the `inputs` rule out."""
        event = segment.start + min(len(segment), LONGEST) // 2
        seen, stream = Segment(segment.stream, segment.start, event + 1), segment.stream
        other_mark, other_slice = with_other_future(stream, event), with_other_future(stream, event, same_mark=True)
        if self._marks_differ(seen, other_mark) or self._slices_differ(seen, other_slice):
            raise SettingError(
                f"{self._name}.predict looks at the future: what it predicts up to event {event} changes when events "
                f"from {event} on do; expected each prediction to depend on earlier events alone, and that of a slice "
                "also on the mark"
            )
        unseen = with_hidden_changed(stream, self.predictor.inputs)
        if self._marks_differ(seen, unseen) or self._slices_differ(seen, unseen):
            raise SettingError(
                f"{self._name}.predict looks at more than its inputs, {self.predictor.inputs}: its predictions change "
                f"with {', '.join(HIDDEN[self.predictor.inputs])}; expected other inputs, or none of these columns"
            )

    def _marks_differ(self, seen: Segment, stream: Stream) -> bool:
        """Return whether the marks of the same events are predicted otherwise from another stream."""
        other = Segment(stream, seen.start, seen.stop)
        return not np.array_equal(self.predict(seen).log_probs, self.predict(other).log_probs)

    def _slices_differ(self, seen: Segment, stream: Stream) -> bool:
        """Return whether the slices of the same events are predicted otherwise from another stream."""
        other, dt_us = Segment(stream, seen.start, seen.stop), seen.slice_us()
        return not np.array_equal(self.predict(seen).dt.log_pdf(dt_us), self.predict(other).dt.log_pdf(dt_us))

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
        raise SettingError(f"{name}.predict gives a probability of 0, or none: expected every mark to be possible")
    sums = np.exp(log_probs).sum(axis=1)
    if (wrong := np.abs(sums - 1) > TOLERANCE).any():
        row = int(np.argmax(wrong))
        raise SettingError(
            f"{name}.predict: the probabilities of event {row} add up to {sums[row]:.6g}: expected 1; log_probs are "
            "natural logarithms of probabilities"
        )


def with_other_future(stream: Stream, event: int, *, same_mark: bool = False) -> Stream:
    """Return a stream in which all from `event` on is different, but for who was runnable at `event` itself.

    With `same_mark` the task that is picked at `event` is the same as well, but not how long it runs.
    """
    changed, later = _copies(stream, ("mark", "tid", *HIDDEN["marks"])), event + 1
    least, listed, picked = changed["tid"].min(), stream.runnable_at[later], later if same_mark else event
    changed["mark"][picked:] = 1 + changed["mark"][picked:] % max(int(stream.mark.max()) - 1, 1)
    changed["tid"][picked:] = least + (changed["tid"][picked:] - least + 1) % 4
    changed["slice_ns"][event:] *= 50
    changed["end_state"][event:] = 3
    changed["start_ns"][later:] += 10**9
    changed["wake_ns"][later:] = -1
    changed["contested"][later:] ^= True
    changed["runnable_tid"][listed:], changed["runnable_mark"][listed:] = least, 1
    return replace(stream, **changed)


def with_hidden_changed(stream: Stream, inputs: str) -> Stream:
    """Return a stream in which the columns are different that a predictor with these inputs may not look at."""
    return replace(stream, **{name: column[::-1].copy() for name, column in _copies(stream, HIDDEN[inputs]).items()})


def _copies(stream: Stream, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: np.array(getattr(stream, name)) for name in names}

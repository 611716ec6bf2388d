"""What a predictor said of each event, beside what came: a row per event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.data.streams import Segment
from model.errors import StreamError
from model.predictor import Prediction, SegmentPredictor
from model.scoring.outcomes import PART_EVENTS, outcomes_of


def predictions(
    predictor: SegmentPredictor, segments: Sequence[Segment], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Predict every event of the segments, each from those before it; return columns, (n,) each.

    `names`: the marks by index. `mark` came, `likeliest` was the most probable one, with the probability `confidence`;
    `probability` is that of the mark that came. `median_us` is the predicted median of its stay in microseconds,
    `slice_us` how long it stayed. `hit`, `bits`, `contested`, `open` and `chance` are those of `Outcomes`. Raises
    StreamError if there are no events.
    """
    marks = np.array(names, object)
    parts = [
        _columns(predictor.predict(part), part, marks) for segment in segments for part in segment.parts(PART_EVENTS)
    ]
    if not parts:
        raise StreamError("there is nothing to predict: record longer, or take a larger share")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(prediction: Prediction, segment: Segment, marks: np.ndarray) -> dict[str, np.ndarray]:
    outcomes, stream = outcomes_of(prediction, segment), segment.stream
    return {
        "trial": np.full(len(segment), stream.recording, object),
        "cpu": np.full(len(segment), stream.cpu, np.int16),
        "event": np.arange(segment.start, segment.stop),
        "start_ns": np.array(segment.of(stream.start_ns)),
        "mark": marks[outcomes.mark],
        "likeliest": marks[np.argmax(prediction.log_probs, axis=1)],
        "hit": outcomes.hit,
        "confidence": outcomes.confidence,
        "probability": np.exp2(-outcomes.bits),
        "bits": outcomes.bits,
        "contested": np.array(outcomes.contested),
        "open": np.array(outcomes.open),
        "chance": outcomes.chance,
        "median_us": prediction.dt.quantile(0.5),
        "slice_us": segment.slice_us(),
    }

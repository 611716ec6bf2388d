"""Scores of predictors that go on learning while they predict, beside what they score frozen.

Frozen scores say what the train part taught; online ones what a scheduler could do that never stops counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from model.data.streams import Segment
from model.predictor import OnlineLearner, Predictor
from model.scoring import scores as scores_module

MOST = 500_000  # events; counting one by one takes a tenth of a millisecond each


def scores(predictor: Predictor, segments: Sequence[Segment]) -> dict[str, Any] | None:
    """The scores of a predictor that learns on; None where it cannot, or where there are more events than MOST.

    Each stream is begun with what was fitted, for what another CPU did later is no past.
    """
    if not isinstance(predictor, OnlineLearner) or sum(map(len, segments)) > MOST:
        return None
    return scores_module.scores(scores_module.outcomes(cast(Predictor, predictor.learner()), segments))

"""Markov chain of the last few marks, blended over all shorter histories (see `model.counts.nested`)."""

from __future__ import annotations

from typing import Any, ClassVar

from model.counts.online import OnlinePredictor
from model.predictors.count_based import CountBased
from model.settings import MarkovSettings, Settings


class Markov(CountBased):
    """`order` marks of history. Without it, the order up to `max_order` with the fewest bits on validation."""

    inputs = "marks"
    settings_type: ClassVar[type[Settings]] = MarkovSettings

    def __init__(self, **settings: Any) -> None:
        chosen = MarkovSettings(**settings)
        longest = chosen.max_order if chosen.order is None else chosen.order
        super().__init__(depth=longest, lags=longest, chosen=chosen.order is None)
        self.order, self.max_order = chosen.order, chosen.max_order

    def learner(self) -> OnlinePredictor:
        """Return one that goes on counting."""
        return self.online_predictor()


class MostFrequent(Markov):
    """The floor: how often each mark ran in the train part, whatever just happened. Slices by the mark alone."""

    slice_lags = 0
    settings_type = Settings

    def __init__(self) -> None:
        super().__init__(order=0)

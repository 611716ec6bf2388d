"""Markov chain of the last few marks, blended over all shorter histories (see `model.counts.nested`)."""

from __future__ import annotations

from typing import Annotated

from model.counts.online import OnlinePredictor
from model.predictors.count_based import CountBased
from model.settings import Range

LONGEST = 8


class Markov(CountBased):
    """`order` marks of history. Without it, the order up to `max_order` with the fewest bits on validation."""

    inputs = "marks"

    def __init__(
        self, order: Annotated[int | None, Range(0, LONGEST)] = None, max_order: Annotated[int, Range(0, LONGEST)] = 5
    ) -> None:
        longest = max_order if order is None else order
        super().__init__(depth=longest, lags=longest, chosen=order is None)
        self.order, self.max_order = order, max_order

    def learner(self) -> OnlinePredictor:
        """Return one that goes on counting."""
        return self.online_predictor()


class MostFrequent(Markov):
    """The floor: how often each mark ran in the train part, whatever just happened. Slices by the mark alone."""

    slice_lags = 0

    def __init__(self) -> None:
        super().__init__(order=0)

"""Markov chain of the last few marks, interpolated over all shorter histories (see `model.counts.nested`)."""

from __future__ import annotations

from model.counts.online import Learner
from model.errors import SettingError
from model.predictors.count_based import Counted

LONGEST = 8


class Markov(Counted):
    """`order` marks of history; left out, the order up to `max_order` with the fewest bits on the validation part."""

    inputs = "marks"

    def __init__(self, order: int | None = None, max_order: int = 5) -> None:
        deepest = max_order if order is None else order
        if not 0 <= deepest <= LONGEST:
            raise SettingError(f"markov: order {deepest}: expected 0 to {LONGEST}")
        super().__init__(depth=deepest, lags=deepest, chosen=order is None)
        self.order, self.max_order = order, max_order

    def settings(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {"order": self.order, "max_order": self.max_order}

    def learner(self) -> Learner:
        """One that goes on counting."""
        return self.counting_on()

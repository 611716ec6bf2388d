"""The floor: how often each mark ran in the train part, whatever just happened."""

from __future__ import annotations

from model.predictors.markov import Markov


class MostFrequent(Markov):
    """A Markov chain of order 0; slices by histograms of the mark alone."""

    slice_lags = 0

    def __init__(self) -> None:
        super().__init__(order=0)

    def settings(self) -> dict[str, object]:
        """The constructor's arguments: none."""
        return {}

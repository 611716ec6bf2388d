"""Whole distributions of two sides beside each other, as an object that a notebook draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from harness.api import html
from harness.api.distribution_figure import figure
from harness.comparison.distribution import Distribution
from harness.visible import visible

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("quantity", "q", "first_us", "second_us", "shift", "low", "high")


class Distributions(Sequence[Distribution]):
    """Slice lengths and wakeup latencies of both sides, made by `Comparison.distributions`.

    Each is a `Distribution`: the share of the values up to each point of `grid`, in ns, as `first` and `second`
    (`mean`, `low`, `high`: curves with a 95 % band, or the range of the trials with too few units), and `shifts`. What
    a trial lacks, as without a tracer, is left out.
    """

    def __init__(self, found: Sequence[Distribution], labels: tuple[str, str]) -> None:
        self._found, self.labels = tuple(found), labels

    def frame(self) -> pd.DataFrame:
        """Return a row for each quantile of each quantity: both sides in microseconds, and how far it shifted.

        `shift` is second / first - 1; `low` and `high` are the ends of its 95 % interval, NaN with too few units.
        """
        import pandas as pd

        return pd.DataFrame([row for each in self for row in _rows(each)], columns=[*COLUMNS])

    @overload
    def __getitem__(self, key: int) -> Distribution: ...

    @overload
    def __getitem__(self, key: slice) -> Distributions: ...

    def __getitem__(self, key: int | slice) -> Distribution | Distributions:
        return Distributions(self._found[key], self.labels) if isinstance(key, slice) else self._found[key]

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        names = ", ".join(each.name for each in self) or "none"
        return visible(f"Distributions({names}; of {self.labels[0]} and {self.labels[1]})")

    def _repr_html_(self) -> str:
        words = html.sentence("No trials of both sides have a table of slices.") if not self else ""
        return "".join([words, *(f"<div>{figure(each, self.labels)}</div>" for each in self)])


def _rows(distribution: Distribution) -> list[tuple[Any, ...]]:
    return [
        (
            distribution.name,
            shift.q,
            shift.first / 1e3,
            shift.second / 1e3,
            shift.value,
            *((shift.interval.low, shift.interval.high) if shift.interval else (None, None)),
        )
        for shift in distribution.shifts
    ]

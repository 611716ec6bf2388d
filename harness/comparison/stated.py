"""What the experiments of runs say of the comparison they were recorded for: its metric, and the margin."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real

from harness.errors import HarnessError
from harness.store import RunFolder

MARGINS = "a share above 0 and below 1: 0.01 is 1 %"


@dataclass(frozen=True)
class Stated:
    """`compare.metric` of the first run that names one, and the smallest `compare.margin`; None where none is known."""

    metric: str | None
    margin: float | None


def is_margin(value: object) -> bool:
    """Return whether a value, of any type, can be the margin of a comparison: one of MARGINS."""
    return isinstance(value, Real) and 0 < float(value) < 1


def stated_by(runs: Sequence[RunFolder]) -> Stated:
    """Read what was fixed before the runs were recorded; an experiment that this version cannot read says nothing."""
    found = []
    for run in runs:
        with suppress(HarnessError):
            found.append(run.experiment.compare)
    metric = next((each.metric for each in found if each.metric), None)
    return Stated(metric, min((each.margin for each in found), default=None))

"""What makes a sure result doubtful: equals that differ nearly as much, and loads that ran for two lengths of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean

from harness.comparison.sentence import amount
from harness.comparison.sides import Side
from harness.comparison.statistics.effect import Effect
from harness.listed import shortened

RARE = 0.01  # one metric of equals in a hundred has a smaller p-value, before it is adjusted
NAMED = 3  # effects in a sentence
LENGTH = 0.1  # loads whose running times differ by a larger share are not counted over alike times


def of_equals(effects: Iterable[Effect], equals: Iterable[Effect]) -> str:
    """Name the metrics called different in which two equals differ, too, by what is rare for one metric alone.

    An interval is about the spread from block to block. If equals differ by as much as it is wide, something that it
    does not hold sets them apart, and the result is no surer than that.
    """
    names = {effect.metric.name for effect in effects if effect.differs}
    odd = [each for each in equals if each.metric.name in names and each.interval and _is_odd(each)]
    texts = [f"{each.metric.name} {amount(each)}" for each in odd]
    what = "so differences of this size may come from something else than the arm"
    return f"equals differ in {shortened(texts, NAMED)}, before the correction for many metrics: {what}" if odd else ""


def _is_odd(equal: Effect) -> bool:
    return not equal.differs and equal.p is not None and equal.p < RARE


def of_load_lengths(first: Side, second: Side) -> str:
    """Say where the load of one side ran longer than that of the other; its rates are of its whole run.

    A recording takes a larger part of a shorter run, and so more of what the load would have done.
    """
    lengths = [list(_lengths(side)) for side in (first, second)]
    if not all(lengths):
        return ""
    one, other = map(fmean, lengths)
    if max(one, other) <= (1 + LENGTH) * min(one, other):
        return ""
    sides = f"{one:.1f} s of {first.label} and {other:.1f} s of {second.label}"
    return f"the load's own numbers are of {sides}, recorded or not: what recording costs weighs differently in them"


def _lengths(side: Side) -> Iterator[float]:
    return (one.load_s for one in side.observations if one.load_s is not None)

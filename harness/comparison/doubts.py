"""What makes a sure result doubtful: equals or runs that differ, and loads that ran for two lengths of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean, median
from typing import Any

from harness.comparison.measured.metrics import is_of_load
from harness.comparison.sentence import amount, change
from harness.comparison.sides import Side
from harness.comparison.statistics.effect import Effect
from harness.listed import shortened

RARE = 0.01  # one metric of equals in a hundred has a smaller p-value, before it is adjusted
NAMED = 3  # effects in a sentence
FEWEST = 5  # blocks of a run that can disagree with another
TIMES = ("record.seconds", "record.warmup_s")  # settings that make a load run for longer
LENGTH = 0.1  # loads whose running times differ by a larger share are not counted over alike times


def of_equals(effects: Iterable[Effect], equals: Iterable[Effect]) -> str:
    """Name the metrics called different in which two equals differ, too, by what is rare for one metric alone.

    An interval is about the spread from block to block. If equals differ by as much as it is wide, something that it
    does not hold sets them apart, and the result is no surer than that.
    """
    names = {effect.metric.name for effect in effects if effect.differs}
    odd = [each for each in equals if each.metric.name in names and each.interval and _is_odd(each)]
    texts = [f"{each.metric.name} {amount(each)}" for each in odd]
    what = "a difference as small as that may come from something else than the arm"
    alone = "each metric taken alone, without the correction for many"
    return f"two equals seem to differ in {shortened(texts, NAMED)}, {alone}: {what}" if odd else ""


def _is_odd(equal: Effect) -> bool:
    return not equal.differs and equal.p is not None and equal.p < RARE


def of_load_lengths(first: Side, second: Side, effects: Iterable[Effect]) -> str:
    """Say where the load of one side ran longer than that of the other, if a number of the load is compared.

    Its numbers are of its whole run. A recording takes a larger part of a shorter run, and so more of what the load
    would have done. Sides that are recorded for different times are meant to run for different times.
    """
    if any(_setting(first, path) != _setting(second, path) for path in TIMES):
        return ""
    lengths = [list(_lengths(side)) for side in (first, second)]
    if not all(lengths) or not any(is_of_load(effect.metric.name) for effect in effects):
        return ""
    one, other = map(fmean, lengths)
    if max(one, other) <= (1 + LENGTH) * min(one, other):
        return ""
    ran = f"the load ran for {one:.1f} s on {first.label} and for {other:.1f} s on {second.label}"
    return f"{ran}, and its own numbers are of all of it: what recording costs weighs differently in them"


def _setting(side: Side, path: str) -> Any:
    return side.observations[0].settings.get(path) if side.observations else None


def _lengths(side: Side) -> Iterator[float]:
    return (one.load_s for one in side.observations if one.load_s is not None)


def of_runs(effects: Iterable[Effect]) -> str:
    """Name the metrics called different in which each block of one run is beyond all blocks of another.

    Such runs did not measure the same, and their mean is of neither. With five blocks each, chance does that to one
    metric in 126.
    """
    texts = [text for effect in effects if effect.differs and (text := _disagreement(effect))]
    what = "their mean is of neither; compare each alone"
    return f"the runs disagree in {shortened(texts, NAMED)}: {what}" if texts else ""


def _disagreement(effect: Effect) -> str:
    values: dict[str, list[float]] = {}
    for block in effect.blocks:
        values.setdefault(block.run, []).append(block.value)
    runs = sorted((run for run in values if len(values[run]) >= FEWEST), key=lambda run: median(values[run]))
    if len(runs) < 2 or max(values[runs[0]]) >= min(values[runs[-1]]):
        return ""
    low, high = (f"{change(effect, median(values[run]))} in {run}" for run in (runs[0], runs[-1]))
    return f"{effect.metric.name} ({low}, {high})"

"""Whole distributions of two sides beside each other, since a scheduler changes tails that no mean shows.

Each trial has one empirical distribution function (ECDF) and its quantiles; the trial, not the slice, is repeated. So
the curve of a side is the mean of its trials' curves, and its band and the intervals are over the comparison's units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1

import numpy as np

from harness.comparison.comparison import Comparison
from harness.comparison.measured.observation import Observation, read_times
from harness.comparison.statistics import inference
from harness.comparison.statistics.design import Pair, Unit, paired, sample
from harness.comparison.statistics.effect import Interval

NAMES = ("slice length", "wakeup latency")
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
POINTS = 160
SHOWN = (0.001, 0.999)  # the quantiles between which the grid lies


@dataclass(frozen=True)
class Curve:
    """An ECDF at each point of the grid, (points,), 0 to 1: mean over the trials, and the ends of its 95 % band.

    With too few units the band is that from the lowest to the highest trial.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class QuantileShift:
    """One quantile: both sides in ns, and second / first - 1 with its interval; None with too few units."""

    q: float
    first: float
    second: float
    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Distribution:
    """One quantity of both sides; `grid`: (points,), in ns, at equal distances of its logarithm.

    `is_band`: whether the bands of the curves are 95 % intervals, and no ranges.
    """

    name: str
    unit: str
    grid: np.ndarray
    first: Curve
    second: Curve
    shifts: tuple[QuantileShift, ...]
    is_band: bool


def distributions(comparison: Comparison) -> tuple[Distribution, ...]:
    """Return slice lengths and wakeup latencies, without the idle task's, of the blocks that both sides have.

    A quantity that a trial lacks, as without a tracer, is left out; so is all where the sides share no block. Raises
    StoreError for a table that cannot be read.
    """
    pairs = paired(comparison.first, comparison.second)
    if not pairs or not all((one.folder / "slices.parquet").is_file() for one in _trials(pairs)):
        return ()
    read = [read_times(one.folder / "slices.parquet") for one in _trials(pairs)]
    quantities = {name: [np.sort(trial[index]) for trial in read] for index, name in enumerate(NAMES)}
    return tuple(
        _distribution(name, trials, pairs, comparison.design.unit)
        for name, trials in quantities.items()
        if all(len(trial) for trial in trials)
    )


def _trials(pairs: Sequence[Pair]) -> list[Observation]:
    return [one for pair in pairs for one in (pair.first, pair.second)]


def _distribution(name: str, trials: list[np.ndarray], pairs: Sequence[Pair], unit: Unit) -> Distribution:
    """`trials` are the sorted values of the first and the second trial of each pair in turn."""
    ends = np.array([np.quantile(trial, SHOWN) for trial in trials])
    low = max(1.0, float(ends[:, 0].min()))
    grid = np.geomspace(low, max(low * 1.01, float(ends[:, 1].max())), POINTS)
    heights = np.array([np.searchsorted(trial, grid, side="right") / len(trial) for trial in trials])
    quantiles = np.array([np.quantile(trial, QUANTILES) for trial in trials])
    first, second = (_curve(heights[side::2].T, pairs, unit) for side in (0, 1))
    large = sample(pairs, heights[::2].T, unit).is_large_enough
    shifts = tuple(_shifts(quantiles[::2].T, quantiles[1::2].T, pairs, unit))
    return Distribution(name, "ns", grid, first, second, shifts, large)


def _curve(heights: np.ndarray, pairs: Sequence[Pair], unit: Unit) -> Curve:
    """Return the curve of a side; heights: (points, pairs)."""
    units = sample(pairs, heights, unit)
    if units.is_large_enough:
        low, high = inference.interval(units, resamples=1_999)
    else:
        low, high = heights.min(axis=1), heights.max(axis=1)
    return Curve(units.mean, np.clip(low, 0, 1), np.clip(high, 0, 1))


def _shifts(first: np.ndarray, second: np.ndarray, pairs: Sequence[Pair], unit: Unit) -> list[QuantileShift]:
    """Return the shift of each quantile; first, second: (quantiles, pairs), ns. One that is 0 has no ratio."""
    found = []
    for q, left, right in zip(QUANTILES, first, second, strict=True):
        if min(left.min(), right.min()) <= 0:
            continue
        units = sample(pairs, np.log(right / left), unit)
        interval = None
        if units.is_large_enough:
            low, high = (expm1(float(end)) for end in inference.interval(units))
            interval = Interval(low, high, inference.LEVEL)
        one, other = (float(np.exp(np.log(side).mean())) for side in (left, right))
        found.append(QuantileShift(q, one, other, expm1(float(units.mean)), interval))
    return found

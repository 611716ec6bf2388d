"""Predicted densities of a slice's length, one per event.

All lengths are in microseconds, so `log_pdf` is in nats per microsecond: over nanoseconds it would be log(1000) lower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

LOG_2PI = float(np.log(2 * np.pi))
FLOOR_WEIGHT = 1e-3
HALVINGS = 60


class Density(Protocol):
    """n densities of dt over (0, inf), in microseconds."""

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the log density (n,) of each event's dt, in nats."""

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the probability (n,) that each event's dt is at most `dt_us`."""

    def quantile(self, level: float) -> np.ndarray:
        """Return the dt (n,) below which a share `level` of the probability lies; 0.5 gives the medians."""


def bisect(
    low: np.ndarray, high: np.ndarray, below: Callable[[np.ndarray], np.ndarray], halvings: int = HALVINGS
) -> np.ndarray:
    """Return the dt (n,) at which `below`, a function of dt (n,), turns from true to false.

    low, high: (n,) logs of dt, one on each side of it.
    """
    with np.errstate(over="ignore", divide="ignore"):  # a wide density reaches from a dt of zero to an infinite one
        for _ in range(halvings):
            middle = (low + high) / 2
            short = below(np.exp(middle))
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return np.exp((low + high) / 2)


@dataclass(frozen=True)
class LogNormalMixture:
    """weight, mean, deviation: (n, k) each; mean and deviation are those of the natural log of dt in microseconds."""

    weight: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the log density (n,), in nats."""
        log_dt = np.log(dt_us)[:, None]
        z = (log_dt - self.mean) / self.deviation
        parts = np.log(self.weight + 1e-30) - 0.5 * z * z - np.log(self.deviation) - 0.5 * LOG_2PI - log_dt
        return logsumexp(parts, axis=1)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the cumulative probability (n,)."""
        return (self.weight * ndtr((np.log(dt_us)[:, None] - self.mean) / self.deviation)).sum(axis=1)

    def quantile(self, level: float) -> np.ndarray:
        """Find quantiles (n,) by bisection on the log of dt; 36 halvings leave less than a part in a million."""
        low = (self.mean - 40 * self.deviation).min(axis=1)
        high = (self.mean + 40 * self.deviation).max(axis=1)
        return bisect(low, high, lambda dt_us: self.cdf(dt_us) < level, halvings=36)


@dataclass(frozen=True)
class WithLogNormalFloor:
    """Mix `base` with one log-normal for all events, fitted to the training slices, of weight FLOOR_WEIGHT.

    If the rate rises exponentially, a very long slice has almost no probability: one such event can cost a billion nats
    and dominate the mean over all events. The mixture bounds the cost of an event: its density is at least
    FLOOR_WEIGHT times the log-normal's. mean and deviation are those of the natural log of dt in microseconds.
    """

    base: Density
    mean: float
    deviation: float

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the log density (n,), in nats."""
        floor = self._log_normal().log_pdf(dt_us)
        return np.logaddexp(np.log1p(-FLOOR_WEIGHT) + self.base.log_pdf(dt_us), np.log(FLOOR_WEIGHT) + floor)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the cumulative probability (n,)."""
        return (1 - FLOOR_WEIGHT) * self.base.cdf(dt_us) + FLOOR_WEIGHT * self._log_normal().cdf(dt_us)

    def quantile(self, level: float) -> np.ndarray:
        """Find quantiles (n,) by bisection on the log of dt, between those of the two parts."""
        base, floor = np.log(self.base.quantile(level)), self.mean + self.deviation * ndtri(level)
        return bisect(np.minimum(base, floor), np.maximum(base, floor), lambda dt_us: self.cdf(dt_us) < level)

    def _log_normal(self) -> LogNormalMixture:
        return LogNormalMixture(np.ones((1, 1)), np.array([[self.mean]]), np.array([[self.deviation]]))


@dataclass(frozen=True)
class Gompertz:
    """A slice of length t ends at the rate r(t) = exp(log_rate + slope * min(t, longest)) + background.

    Time is in units of `unit_us` microseconds. log_rate: (n,); the rest is common to all events. Beyond `longest` the
    rate is constant. The density is r(t) exp(-R(t)), with R the integral of r from 0 to t.
    """

    log_rate: np.ndarray
    slope: float
    background: float
    longest: float
    unit_us: float

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the log density (n,), in nats."""
        time = dt_us / self.unit_us
        rate = np.exp(self.log_rate + self.slope * np.minimum(time, self.longest)) + self.background
        return np.log(rate) - self._integral(time) - np.log(self.unit_us)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the cumulative probability (n,)."""
        return -np.expm1(-self._integral(dt_us / self.unit_us))

    def quantile(self, level: float) -> np.ndarray:
        """Find quantiles (n,) by bisection on the log of dt; the background rate bounds them."""
        wanted = -np.log1p(-level)
        low, high = np.full(len(self.log_rate), -25.0), np.full(len(self.log_rate), np.log(wanted / self.background))
        return bisect(low, high, lambda time: self._integral(time) < wanted) * self.unit_us

    def _integral(self, time: np.ndarray) -> np.ndarray:
        """Return R(t) in closed form."""
        until = np.minimum(time, self.longest)
        change = self.slope * until
        mean = np.where(np.abs(change) < 1e-6, 1.0, np.expm1(change) / np.where(change == 0, 1.0, change))
        last = np.exp(self.log_rate + self.slope * self.longest)
        return np.exp(self.log_rate) * until * mean + (time - until) * last + self.background * time


@dataclass(frozen=True)
class PiecewiseLinearHazard:
    """A slice of length t ends at a rate r(t) that is linear between the times `time_us`, and constant after the last.

    time_us: (k,), rising from 0. rate: (n, k), the rates at these times, each above 0, per microsecond. The density is
    r(t) exp(-R(t)), with R the integral of r from 0 to t.
    """

    time_us: np.ndarray
    rate: np.ndarray

    @cached_property
    def integral(self) -> np.ndarray:
        """R at each of the times, (n, k)."""
        cells = np.diff(self.time_us) * (self.rate[:, 1:] + self.rate[:, :-1]) / 2
        return np.concatenate([np.zeros((len(self.rate), 1)), np.cumsum(cells, axis=1)], axis=1)

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the log density (n,), in nats."""
        _, since, slope, rate, integral = self._cell(self._index(dt_us), dt_us)
        return np.log(rate + slope * since) - integral - rate * since - slope * since**2 / 2

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the cumulative probability (n,)."""
        _, since, slope, rate, integral = self._cell(self._index(dt_us), dt_us)
        return -np.expm1(-(integral + rate * since + slope * since**2 / 2))

    def quantile(self, level: float) -> np.ndarray:
        """Find quantiles (n,): each is a root of a parabola."""
        wanted = -np.log1p(-level)
        index = (self.integral < wanted).sum(axis=1) - 1
        start, _, slope, rate, integral = self._cell(index, np.zeros(len(index)))
        rest = wanted - integral
        return start + 2 * rest / (rate + np.sqrt(np.maximum(rate**2 + 2 * slope * rest, 0)))

    def _index(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the cell (n,) that holds each dt."""
        return np.searchsorted(self.time_us, dt_us, side="right") - 1

    def _cell(self, index: np.ndarray, dt_us: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return (n,) each: the cell's start, the time from there to dt, the slope of r, and r and R at the start."""
        rows, last = np.arange(len(index)), len(self.time_us) - 1
        after = np.minimum(index + 1, last)
        width = np.where(after > index, self.time_us[after] - self.time_us[index], 1.0)
        slope = (self.rate[rows, after] - self.rate[rows, index]) / width
        start = self.time_us[index]
        return start, dt_us - start, slope, self.rate[rows, index], self.integral[rows, index]


BIN_EDGES = np.linspace(np.log(0.1), np.log(1e7), 161)  # of log dt in us: 0.1 us to 10 s, 11.5 % wide
BINS = len(BIN_EDGES) - 1


def bin_of(dt_us: np.ndarray) -> np.ndarray:
    """Return the histogram bin (n,) of each dt; a dt beyond the edges counts in the first or the last bin."""
    return np.clip(np.searchsorted(BIN_EDGES, np.log(dt_us), side="right") - 1, 0, BINS - 1)


@dataclass(frozen=True)
class Histogram:
    """probability: (n, BINS) of each bin; the density is flat in log dt inside a bin."""

    probability: np.ndarray

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the log density (n,), in nats."""
        rows = np.arange(len(dt_us))
        width = BIN_EDGES[1] - BIN_EDGES[0]
        return np.log(self.probability[rows, bin_of(dt_us)]) - np.log(width) - np.log(dt_us)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """Return the cumulative probability (n,)."""
        rows, index = np.arange(len(dt_us)), bin_of(dt_us)
        inside = np.clip((np.log(dt_us) - BIN_EDGES[index]) / (BIN_EDGES[1] - BIN_EDGES[0]), 0, 1)
        in_bin = self.probability[rows, index]
        return np.cumsum(self.probability, axis=1)[rows, index] - in_bin * (1 - inside)

    def quantile(self, level: float) -> np.ndarray:
        """Find quantiles (n,), linear in log dt inside a bin."""
        total = np.cumsum(self.probability, axis=1)
        index = np.minimum((total < level).sum(axis=1), BINS - 1)
        rows = np.arange(len(total))
        before = total[rows, index] - self.probability[rows, index]
        inside = np.clip((level - before) / np.maximum(self.probability[rows, index], 1e-300), 0, 1)
        return np.exp(BIN_EDGES[index] + inside * (BIN_EDGES[1] - BIN_EDGES[0]))


CRPS_LEVELS = (np.arange(16) + 0.5) / 16


def crps(density: Density, dt_us: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score (n,) in microseconds: the distance of the density from dt.

    It is twice the mean pinball loss over CRPS_LEVELS (Gneiting and Raftery, JASA 102, 2007). For a density with all
    its mass at one point it is the absolute error.
    """
    total = np.zeros(len(dt_us))
    for level in CRPS_LEVELS:
        over = dt_us - density.quantile(float(level))
        total += np.maximum(level * over, (level - 1) * over)
    return 2 * total / len(CRPS_LEVELS)

"""Densities of a slice's length that are told by how likely it is to end now, given that it has not ended yet.

With the rate r(t) the density is r(t) exp(-R(t)), R being the integral of r from 0 to t: what every point process says
of the time to its next event.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.density import bisected


@dataclass(frozen=True)
class Gompertz:
    """r(t) = exp(log_rate + slope * min(t, longest)) + background, all in units of `unit_us` microseconds.

    log_rate: (n,); the rest is common to all. Beyond `longest` the rate stays as it is.
    """

    log_rate: np.ndarray
    slope: float
    background: float
    longest: float
    unit_us: float

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) log density, nats, dt in microseconds."""
        time = dt_us / self.unit_us
        rate = np.exp(self.log_rate + self.slope * np.minimum(time, self.longest)) + self.background
        return np.log(rate) - self._risen(time) - np.log(self.unit_us)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) cumulative probability."""
        return -np.expm1(-self._risen(dt_us / self.unit_us))

    def quantile(self, share: float) -> np.ndarray:
        """(n,) quantiles by bisection on the log of dt; the background bounds them."""
        wanted = -np.log1p(-share)
        low, high = np.full(len(self.log_rate), -25.0), np.full(len(self.log_rate), np.log(wanted / self.background))
        return bisected(low, high, lambda time: self._risen(time) < wanted) * self.unit_us

    def _risen(self, time: np.ndarray) -> np.ndarray:
        """R(t), in closed form."""
        until = np.minimum(time, self.longest)
        change = self.slope * until
        mean = np.where(np.abs(change) < 1e-6, 1.0, np.expm1(change) / np.where(change == 0, 1.0, change))
        last = np.exp(self.log_rate + self.slope * self.longest)
        return np.exp(self.log_rate) * until * mean + (time - until) * last + self.background * time


@dataclass(frozen=True)
class Knots:
    """r(t) known at points in time and linear in between; after the last of them it stays as it is.

    time_us: (k,), rising from 0. rate: (n, k), each above 0, per microsecond.
    """

    time_us: np.ndarray
    rate: np.ndarray

    @cached_property
    def risen(self) -> np.ndarray:
        """(n, k): R at each point."""
        cells = np.diff(self.time_us) * (self.rate[:, 1:] + self.rate[:, :-1]) / 2
        return np.concatenate([np.zeros((len(self.rate), 1)), np.cumsum(cells, axis=1)], axis=1)

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) log density, nats, dt in microseconds."""
        _, since, slope, rate, risen = self._cell(np.searchsorted(self.time_us, dt_us, side="right") - 1, dt_us)
        return np.log(rate + slope * since) - risen - rate * since - slope * since**2 / 2

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) cumulative probability."""
        _, since, slope, rate, risen = self._cell(np.searchsorted(self.time_us, dt_us, side="right") - 1, dt_us)
        return -np.expm1(-(risen + rate * since + slope * since**2 / 2))

    def quantile(self, share: float) -> np.ndarray:
        """(n,) quantiles: a root of a parabola."""
        wanted = -np.log1p(-share)
        which = (self.risen < wanted).sum(axis=1) - 1
        begin, _, slope, rate, risen = self._cell(which, np.zeros(len(which)))
        left = wanted - risen
        return begin + 2 * left / (rate + np.sqrt(np.maximum(rate**2 + 2 * slope * left, 0)))

    def _cell(self, which: np.ndarray, dt_us: np.ndarray) -> tuple[np.ndarray, ...]:
        """(n,) each: where the cell begins, how far into it dt is, how r rises in it, and r and R where it begins."""
        rows, last = np.arange(len(which)), len(self.time_us) - 1
        after = np.minimum(which + 1, last)
        width = np.where(after > which, self.time_us[after] - self.time_us[which], 1.0)
        slope = (self.rate[rows, after] - self.rate[rows, which]) / width
        begin = self.time_us[which]
        return begin, dt_us - begin, slope, self.rate[rows, which], self.risen[rows, which]

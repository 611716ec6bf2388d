"""Densities of a slice's length in microseconds, one per event, all scored alike.

The unit of `log_pdf` is nats with dt in microseconds: a density over nanoseconds would score log(1000) lower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

LOG_2PI = float(np.log(2 * np.pi))
HEDGE = 1e-3
HALVINGS = 60


class Density(Protocol):
    """n densities of dt over (0, inf), in microseconds."""

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) log density of each event's own dt, nats."""

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) probability that each event's dt is at most the one given."""

    def quantile(self, share: float) -> np.ndarray:
        """(n,) dt below which `share` of the probability lies; 0.5 gives the medians."""


def bisected(
    low: np.ndarray, high: np.ndarray, below: Callable[[np.ndarray], np.ndarray], halvings: int = HALVINGS
) -> np.ndarray:
    """(n,) dt at which `below`, given (n,) dt, turns from true to false; low, high: (n,) logs of dt around it."""
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
        """(n,) log density, nats."""
        log_dt = np.log(dt_us)[:, None]
        z = (log_dt - self.mean) / self.deviation
        parts = np.log(self.weight + 1e-30) - 0.5 * z * z - np.log(self.deviation) - 0.5 * LOG_2PI - log_dt
        return logsumexp(parts, axis=1)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) cumulative probability."""
        return (self.weight * ndtr((np.log(dt_us)[:, None] - self.mean) / self.deviation)).sum(axis=1)

    def quantile(self, share: float) -> np.ndarray:
        """(n,) quantiles by bisection on the log of dt; 36 halvings leave less than a part in a million."""
        low = (self.mean - 40 * self.deviation).min(axis=1)
        high = (self.mean + 40 * self.deviation).max(axis=1)
        return bisected(low, high, lambda dt_us: self.cdf(dt_us) < share, halvings=36)


@dataclass(frozen=True)
class Hedged:
    """As `told`, but for a share of HEDGE that is one log-normal for all events, of the slices that were learned from.

    A rate that rises exponentially makes a slice that outlives it all but impossible, and a mean over events that one
    event of a billion nats decides says nothing of the others. No event costs more than log HEDGE below the log-normal.
    mean and deviation are those of the natural log of dt in microseconds.
    """

    told: Density
    mean: float
    deviation: float

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) log density, nats."""
        usual = self._usual().log_pdf(dt_us)
        return np.logaddexp(np.log1p(-HEDGE) + self.told.log_pdf(dt_us), np.log(HEDGE) + usual)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) cumulative probability."""
        return (1 - HEDGE) * self.told.cdf(dt_us) + HEDGE * self._usual().cdf(dt_us)

    def quantile(self, share: float) -> np.ndarray:
        """(n,) quantiles by bisection on the log of dt, between those of the two parts."""
        told, usual = np.log(self.told.quantile(share)), self.mean + self.deviation * ndtri(share)
        return bisected(np.minimum(told, usual), np.maximum(told, usual), lambda dt_us: self.cdf(dt_us) < share)

    def _usual(self) -> LogNormalMixture:
        return LogNormalMixture(np.ones((1, 1)), np.array([[self.mean]]), np.array([[self.deviation]]))


BIN_EDGES = np.linspace(np.log(0.1), np.log(1e7), 161)  # of log dt in us: 0.1 us to 10 s, 11.5 % wide
BINS = len(BIN_EDGES) - 1


def bin_of(dt_us: np.ndarray) -> np.ndarray:
    """(n,) which histogram bin each dt falls into; what lies beyond the ends belongs to the end bins."""
    return np.clip(np.searchsorted(BIN_EDGES, np.log(dt_us), side="right") - 1, 0, BINS - 1)


@dataclass(frozen=True)
class Histogram:
    """probability: (n, BINS) of each bin; the density is flat in log dt inside a bin."""

    probability: np.ndarray

    def log_pdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) log density, nats."""
        rows = np.arange(len(dt_us))
        width = BIN_EDGES[1] - BIN_EDGES[0]
        return np.log(self.probability[rows, bin_of(dt_us)]) - np.log(width) - np.log(dt_us)

    def cdf(self, dt_us: np.ndarray) -> np.ndarray:
        """(n,) cumulative probability."""
        rows, which = np.arange(len(dt_us)), bin_of(dt_us)
        inside = np.clip((np.log(dt_us) - BIN_EDGES[which]) / (BIN_EDGES[1] - BIN_EDGES[0]), 0, 1)
        own = self.probability[rows, which]
        return np.cumsum(self.probability, axis=1)[rows, which] - own * (1 - inside)

    def quantile(self, share: float) -> np.ndarray:
        """(n,) quantiles, linear in log dt inside a bin."""
        total = np.cumsum(self.probability, axis=1)
        which = np.minimum((total < share).sum(axis=1), BINS - 1)
        rows = np.arange(len(total))
        before = total[rows, which] - self.probability[rows, which]
        inside = np.clip((share - before) / np.maximum(self.probability[rows, which], 1e-300), 0, 1)
        return np.exp(BIN_EDGES[which] + inside * (BIN_EDGES[1] - BIN_EDGES[0]))


CRPS_LEVELS = (np.arange(16) + 0.5) / 16


def crps(density: Density, dt_us: np.ndarray) -> np.ndarray:
    """(n,) continuous ranked probability score in microseconds: how far the whole density is from dt.

    Twice the mean pinball loss over CRPS_LEVELS (Gneiting and Raftery, JASA 102, 2007). For a density that is all
    at one point it is the absolute error.
    """
    total = np.zeros(len(dt_us))
    for level in CRPS_LEVELS:
        over = dt_us - density.quantile(float(level))
        total += np.maximum(level * over, (level - 1) * over)
    return 2 * total / len(CRPS_LEVELS)

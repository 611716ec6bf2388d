"""What a sample of paired differences says of their mean: interval, p-value, detectable difference, equivalence.

A unit is what was repeated independently: a block, or a whole boot, run or host. Units may lie in fixed groups
(strata), such as two hosts beyond which nothing is claimed; then only their spread within the groups counts. All
functions take samples of many metrics at once: their units are along the last axis. Sources: docs/compare.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, log2

import numpy as np
from scipy import stats

LEVEL = 0.95
CHANCE = 1 - LEVEL
POWER = 0.80
RESAMPLES = 9_999
SEED = 2026
MIN_FREEDOM = 5  # six units, or five more than the fixed groups that they lie in
BATCH = 20_000_000  # values resampled at a time: 160 MB


@dataclass(frozen=True)
class Sample:
    """The differences of the units, one array (..., n) for each fixed group."""

    groups: tuple[np.ndarray, ...]

    @cached_property
    def values(self) -> np.ndarray:
        """All differences, (..., n)."""
        return np.concatenate(self.groups, axis=-1)

    @property
    def size(self) -> int:
        """How many units there are."""
        return int(self.values.shape[-1])

    @property
    def freedom(self) -> int:
        """The degrees of freedom of the spread: units without the fixed groups."""
        return self.size - len(self.groups)

    @property
    def is_large_enough(self) -> bool:
        """Whether anything is said beyond the effect and its range."""
        return self.freedom >= MIN_FREEDOM

    @property
    def mean(self) -> np.ndarray:
        """The mean over the units, (...)."""
        return np.asarray(self.values.mean(axis=-1))

    @property
    def error(self) -> np.ndarray:
        """The standard error of the mean, from the spread of the units within their groups, (...)."""
        apart = [group - group.mean(axis=-1, keepdims=True) for group in self.groups]
        squares = np.sum([(group**2).sum(axis=-1) for group in apart], axis=0)
        return np.asarray(np.sqrt(squares / self.freedom / self.size))


def interval(sample: Sample, resamples: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of the mean: percentiles of the bootstrap, further out where units are few.

    Whole units are resampled within their groups. Which percentiles: `_resampled_quantile`. An end is never nearer than
    that of Student's interval: the mean of six resampled values has shorter tails than the normal distribution. A unit
    that is alone in its group, as the block of a boot that died, has nothing to be resampled from and stays as it is;
    Student's interval has its share of the spread.
    """
    half = stats.t.ppf((1 + LEVEL) / 2, sample.freedom) * sample.error
    quantile = _resampled_quantile(sample.size, sample.freedom)
    found = stats.bootstrap(
        [group for group in sample.groups if group.shape[-1] > 1],
        _sum_of_groups,
        n_resamples=resamples,
        batch=max(1, BATCH // sample.values.size),
        confidence_level=float(stats.norm.cdf(quantile) - stats.norm.cdf(-quantile)),
        method="percentile",
        vectorized=True,
        axis=-1,
        rng=np.random.default_rng(SEED),
    )
    alone = np.sum([group[..., 0] for group in sample.groups if group.shape[-1] == 1], axis=0)
    low, high = ((end + alone) / sample.size for end in found.confidence_interval)
    return np.minimum(low, sample.mean - half), np.maximum(high, sample.mean + half)


def _sum_of_groups(*groups: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.asarray(np.concatenate(groups, axis=axis).sum(axis=axis))


def _resampled_quantile(size: int, freedom: int) -> float:
    """Return the normal quantile whose percentiles of the bootstrap cover 95 %.

    The bootstrap's variance is freedom / size of the unbiased one, and the normal distribution's tails are not those of
    Student: Hesterberg, The American Statistician 69, 2015.
    """
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(size / freedom))


def p_of_sign_flips(sample: Sample) -> np.ndarray:
    """Return how often the mean is as far from 0 if each unit's sign is drawn: exact, or from 9,999 draws.

    Without a difference, a unit is as likely to have the opposite sign, however its values are distributed. The same as
    `scipy.stats.permutation_test` of one sample, which takes a hundred times as long.
    """
    signs, exact = _signs(sample.size)
    rows = sample.values.reshape(-1, sample.size)
    step = max(1, BATCH // len(signs))
    counts = [_as_far(rows[begin : begin + step], signs) for begin in range(0, len(rows), step)]
    count = np.concatenate(counts).reshape(sample.values.shape[:-1])
    return np.asarray(count / len(signs) if exact else (count + 1) / (len(signs) + 1))


def _as_far(rows: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return for each row how many draws of signs bring its sum as far from 0, up to rounding; signs: (draws, n)."""
    sums = np.abs(rows.sum(axis=-1)) * (1 - 1e-12)
    return np.asarray((np.abs(rows @ signs.T) >= sums[:, None]).sum(axis=-1))


@lru_cache(maxsize=8)
def _signs(size: int) -> tuple[np.ndarray, bool]:
    """Return the signs of each draw, (draws, size), and whether these are all: each stands for its opposite, too."""
    if 2**size <= 2 * RESAMPLES:
        bits = np.arange(2 ** (size - 1))[:, None] >> np.arange(size) & 1
        return 2.0 * bits - 1, True
    return np.random.default_rng(SEED).choice([-1.0, 1.0], (RESAMPLES, size)), False


def detectable(sample: Sample) -> np.ndarray:
    """Return the difference that a test at 5 % finds in 80 of 100 cases, with normal units of this spread.

    That of Student's paired test, which sign flips come near to; but flips of six units find only what all six have.
    """
    factor = _noncentrality(sample.freedom)
    if 2.0 ** (2 - sample.size) > CHANCE:
        factor = max(factor, float(stats.norm.ppf(POWER ** (1 / sample.size)) * np.sqrt(sample.size)))
    return np.asarray(factor * sample.error)


@lru_cache(maxsize=256)
def _noncentrality(freedom: int) -> float:
    from statsmodels.stats.power import TTestPower  # slow to import

    units = freedom + 1
    size = TTestPower().solve_power(nobs=units, alpha=CHANCE, power=POWER, alternative="two-sided")
    return float(size * np.sqrt(units))


def equivalence(sample: Sample, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the p-value of two one-sided tests against +-margin, and the smallest margin that holds at 5 %.

    Without groups it is `statsmodels.stats.weightstats.DescrStatsW.ttost_mean`, which knows none.
    """
    distance, error = margin - np.abs(sample.mean), sample.error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.t.sf(np.where(error > 0, distance / error, np.sign(distance) * np.inf), sample.freedom)
    return np.nan_to_num(p, nan=1.0), np.abs(sample.mean) + stats.t.ppf(LEVEL, sample.freedom) * error


def enough_units(tested: int) -> int:
    """Return how many units sign flips need so that one of `tested` p-values can be below 5 % after the adjustment."""
    return ceil(log2(tested / CHANCE) + 1e-9) + 1


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of even one below 0.05 is at most 0.05 if nothing differs.

    Holm, Scandinavian Journal of Statistics 6, 1979. It holds however the metrics depend on each other.
    """
    from statsmodels.stats.multitest import multipletests  # slow to import

    return [float(value) for value in multipletests(values, method="holm")[1]] if len(values) else []

"""What a sample of paired differences says of their mean: interval, p-value, detectable difference, equivalence.

A unit is what was repeated independently: a block, or a whole boot, run or host. Units may lie in fixed groups
(strata), such as two hosts beyond which nothing is claimed; then only their spread within the groups counts.
Sources: docs/compare.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import stats

LEVEL = 0.95
POWER = 0.80
RESAMPLES = 9_999
SEED = 2026
MIN_FREEDOM = 5  # six units, or five more than the fixed groups that they lie in


@dataclass(frozen=True)
class Sample:
    """The differences of the units, one array (n,) for each fixed group."""

    groups: tuple[np.ndarray, ...]

    @cached_property
    def values(self) -> np.ndarray:
        """All differences, (n,)."""
        return np.concatenate(self.groups)

    @property
    def size(self) -> int:
        """How many units there are."""
        return len(self.values)

    @property
    def freedom(self) -> int:
        """The degrees of freedom of the spread: units without the fixed groups."""
        return self.size - len(self.groups)

    @property
    def is_large_enough(self) -> bool:
        """Whether anything is said beyond the effect and its range."""
        return self.freedom >= MIN_FREEDOM

    @property
    def mean(self) -> float:
        """The mean over the units."""
        return float(self.values.mean())

    @property
    def spread(self) -> float:
        """The standard deviation of the units within their groups."""
        squares = sum(float(((group - group.mean()) ** 2).sum()) for group in self.groups)
        return float(np.sqrt(squares / self.freedom))

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.spread / float(np.sqrt(self.size))


def interval(sample: Sample) -> tuple[float, float]:
    """Return the 95 % interval of the mean: percentiles of the bootstrap, further out where units are few.

    Whole units are resampled within their groups. The percentiles are those of Hesterberg, The American Statistician
    69, 2015, for n units: the normal quantile times sqrt(n / (n - 1)), and Student's t for the normal distribution.
    """
    if not sample.spread:
        return sample.mean, sample.mean
    quantile = stats.t.ppf((1 + LEVEL) / 2, sample.freedom) * np.sqrt(sample.size / sample.freedom)
    level = float(stats.norm.cdf(quantile) - stats.norm.cdf(-quantile))
    found = stats.bootstrap(
        sample.groups,
        _mean_of_groups,
        n_resamples=RESAMPLES,
        confidence_level=level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _mean_of_groups(*groups: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.asarray(np.concatenate(groups, axis=axis).mean(axis=axis))


def p_of_sign_flips(sample: Sample) -> float:
    """Return how often the mean is as far from 0 if each unit's sign is drawn: exact, or from 9,999 draws.

    Without a difference, a unit is as likely to have the opposite sign, however its values are distributed.
    """
    found = stats.permutation_test(
        (sample.values,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def detectable(sample: Sample) -> float:
    """Return the difference that Student's paired test at 5 % finds in 80 of 100 cases, with units of this spread."""
    return _noncentrality(sample.freedom) * sample.error


@lru_cache(maxsize=256)
def _noncentrality(freedom: int) -> float:
    from statsmodels.stats.power import TTestPower  # slow to import

    units = freedom + 1
    size = TTestPower().solve_power(nobs=units, alpha=1 - LEVEL, power=POWER, alternative="two-sided")
    return float(size * np.sqrt(units))


def equivalence(sample: Sample, margin: float) -> tuple[float, float]:
    """Return the p-value of two one-sided tests against +-margin, and the smallest margin that holds at 5 %."""
    if not sample.spread:
        return float(abs(sample.mean) >= margin), abs(sample.mean)
    p = float(stats.t.sf((margin - abs(sample.mean)) / sample.error, sample.freedom))
    return p, abs(sample.mean) + float(stats.t.ppf(LEVEL, sample.freedom)) * sample.error


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of even one below 0.05 is at most 0.05 if nothing differs.

    Holm, Scandinavian Journal of Statistics 6, 1979. It holds however the metrics depend on each other.
    """
    from statsmodels.stats.multitest import multipletests  # slow to import

    return [float(value) for value in multipletests(values, method="holm")[1]] if len(values) else []

"""Whether two samples of trials differ by more than two such samples differ by anyway.

The trial is the unit. Of two runs with n and m trials of one spread, whose trials are normal, the difference of means
lies within t * s * sqrt(1/n + 1/m) in 95 of 100 cases: s pooled from both runs' trials, t Student's with n + m - 2
degrees of freedom (the two-sided prediction interval of Hahn and Meeker, Statistical Intervals, 1991, chapter 4).

A predictor that is trained with k seeds adds a second source of spread, which all trials of a run share: the training.
Its variance is that of the k seeds' means, divided by k. The two variances are added, with Satterthwaite's degrees of
freedom (Biometrics Bulletin 2, 1946). Both contain the trial-and-seed residual, so the sum is a little too large.
Trials times seeds are never counted as so many independent values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """The difference of two means.

    `noise`: two such runs differ by at most this in 95 of 100 cases. `p`: how often two such runs differ by more than
    this difference. Both are None if the spread is unknown, because each run has one trial.
    """

    value: float
    noise: float | None
    p: float | None


def difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Return second - first; first, second: (trials, seeds)."""
    value = float(second.mean() - first.mean())
    trials = _variance(first.mean(axis=1), second.mean(axis=1))
    if trials is None:
        return Difference(value, None, None)
    parts = [trials, *([seeds] if (seeds := _variance(first.mean(axis=0), second.mean(axis=0))) else [])]
    total = sum(variance for variance, _ in parts)
    if not total:
        return Difference(value, 0.0, 0.0 if value else 1.0)
    freedom = total**2 / sum(variance**2 / degrees for variance, degrees in parts)
    error = float(np.sqrt(total))
    noise = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Difference(value, noise, float(2 * stats.t.sf(abs(value) / error, freedom)))


def _variance(first: np.ndarray, second: np.ndarray) -> tuple[float, int] | None:
    """Return the variance of the difference of two means, pooled, and its degrees of freedom; None if those are 0."""
    degrees = len(first) + len(second) - 2
    if not degrees:
        return None
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in (first, second))
    return squares / degrees * (1 / len(first) + 1 / len(second)), degrees

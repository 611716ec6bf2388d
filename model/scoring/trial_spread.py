"""Do trials differ by more than their own noise? Each has a score and, over its blocks, a standard error.

The test is Welch's analysis of variance for unequal variances (Biometrika 38, 1951). It is Cochran's Q, the sum of the
squared distances in standard errors, corrected for errors that are themselves estimated from few blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from model.scoring.bootstrap import LEVEL, MIN_SCORED_BLOCKS, block_starts, stream_lengths


@dataclass(frozen=True)
class BlockMean:
    """A mean, its standard error over blocks of events, and their number; None where there is none."""

    mean: float | None
    error: float | None
    blocks: int


def block_mean(value: np.ndarray, weight: np.ndarray, stream: np.ndarray) -> BlockMean:
    """Return sum(value * weight) / sum(weight) of one trial; value, weight, stream: (n,), in time order.

    Its error is that of a ratio of sums over blocks (Cochran, Sampling Techniques, 1977, chapter 6).
    """
    total = float(weight.sum())
    if not total:
        return BlockMean(None, None, 0)
    mean, begin = float((value * weight).sum()) / total, block_starts(stream_lengths(stream))
    weights = np.add.reduceat(weight, begin)
    excess = (np.add.reduceat(value * weight, begin) - mean * weights)[weights > 0]
    blocks = len(excess)
    if blocks < MIN_SCORED_BLOCKS:
        return BlockMean(mean, None, blocks)
    return BlockMean(mean, float(np.sqrt(blocks / (blocks - 1) * (excess**2).sum())) / total, blocks)


def differ(means: Sequence[BlockMean]) -> bool | None:
    """Return whether trials differ by more than their noise does in 95 of 100 cases; None where that is unknown."""
    p = chance_of_spread(means)
    return None if p is None else p < 1 - LEVEL


def chance_of_spread(means: Sequence[BlockMean]) -> float | None:
    """Return how often trials that do not differ lie as far apart; None for one trial, or without an error of each."""
    known = [
        (each.mean, each.error, each.blocks)
        for each in means
        if each.mean is not None and each.error is not None and each.blocks > 1
    ]
    if len(known) < max(2, len(means)):
        return None
    mean, error, blocks = (np.array(column, float) for column in zip(*known, strict=True))
    if not error.all():  # all blocks of a trial are alike
        return None if error.any() else float(np.ptp(mean) == 0)
    p = _welch(mean, error, blocks)
    return p if np.isfinite(p) else None


@np.errstate(all="ignore")  # of values that no score has
def _welch(mean: np.ndarray, error: np.ndarray, blocks: np.ndarray) -> float:
    """Return the p-value of Welch's test; all (trials,)."""
    trials, weight = len(mean), error**-2
    share = weight / weight.sum()
    distance = float((weight * (mean - share @ mean) ** 2).sum()) / (trials - 1)
    doubt = float(((1 - share) ** 2 / (blocks - 1)).sum())
    statistic = distance / (1 + 2 * (trials - 2) / (trials**2 - 1) * doubt)
    return float(fdtrc(trials - 1, (trials**2 - 1) / (3 * doubt), statistic))

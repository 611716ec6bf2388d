"""95 % intervals for scores: over trials, over blocks of events within them, and over seeds.

The trial is the unit: an interval tells how far a score may be off on another trial. Of two trials or more it is
Student's interval with one degree of freedom less than trials. Its standard error is the jackknife's, which leaves out
one trial after the other (Miller, Biometrika 61, 1974; for few and unequal groups MacKinnon, Nielsen and Webb, Journal
of Applied Econometrics 38, 2023); of means over trials of one length it is the standard error of the trials' scores.
Trials that agree by chance would give an interval that is narrower than what one trial leaves open, so the interval is
never narrower than that of the blocks. To draw trials with replacement, as a bootstrap does, holds the true value too
rarely for few trials: benchmarks/coverage.py has the numbers.

The interval of a single trial is that of its blocks, and is about this recording only.

Neighbouring events depend on each other, so a bootstrap must draw blocks of events, not single ones. This is the
bootstrap of fixed, non-overlapping blocks (Carlstein, Annals of Statistics 14(3), 1986): not the overlapping moving
blocks of Kuensch (Annals of Statistics 17(3), 1989), nor the circular ones of Politis and Romano (1992). Each of DRAWS
draws takes as many blocks as there are, with replacement. No block crosses from one stream into the next.

The interval of the blocks is the expanded percentile interval (Hesterberg, The American Statistician 69(4), 2015). The
middle 95 % of the draws is too narrow for few blocks: with 20 blocks it held the true value 92 to 93 times in a
hundred, with 5 blocks 87 times. The expansion replaces the normal quantile by Student's with n - 1 degrees of freedom,
and makes up for the factor sqrt((n - 1) / n) by which the draws of n blocks vary too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

BLOCK_EVENTS = 1000  # intervals with 200 were half as wide as with 3000: a guest's regularity drifts over seconds
MIN_BLOCKS = 20
MIN_SCORED_BLOCKS = 5  # blocks with any scored event; with five, one draw in 150 has none of them
MAX_BLOCKS = 2000  # bounds memory: very long recordings get longer blocks instead of more
DRAWS = 1000
LEVEL = 0.95

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Blocks:
    """Events cut into blocks, and how often each row of `times` takes each block.

    The first rows are draws with replacement. The last `trials` rows, once `with_weight` has added them, are all events
    without those of one trial.
    """

    begin: np.ndarray  # (blocks,) index of each block's first event
    trial: np.ndarray  # (blocks,) the trial of each block
    times: np.ndarray  # (rows, blocks) float64
    scored: int  # number of blocks that hold any scored event
    trials: int = 0  # number of trials that hold any, where there are several

    @classmethod
    def draw(cls, stream: np.ndarray, trial: np.ndarray | None = None, seed: int = 0) -> Blocks:
        """Cut the events into blocks and draw them; stream, trial: (n,) those of each event, equal streams adjacent."""
        begin = block_starts(stream_lengths(stream))
        drawn = np.random.default_rng(seed).integers(0, len(begin), (DRAWS, len(begin)))
        cells = np.arange(DRAWS)[:, None] * len(begin) + drawn
        times = np.bincount(cells.ravel(), minlength=DRAWS * len(begin)).reshape(DRAWS, -1)
        of_block = np.zeros(len(begin), int) if trial is None else trial[begin]
        return cls(begin, of_block, times.astype(float), len(begin))

    def with_weight(self, weight: np.ndarray) -> Blocks | None:
        """Keep the draws that have any weight, because a draw without scored events has no score; weight: (n,).

        None if fewer than MIN_SCORED_BLOCKS blocks have weight, too few to estimate how much blocks differ; and if one
        of several trials has all the weight, which leaves open how much trials differ.
        """
        scored = np.add.reduceat((weight > 0).astype(float), self.begin) > 0
        trials, several = np.unique(self.trial[scored]), len(np.unique(self.trial)) > 1
        if scored.sum() < MIN_SCORED_BLOCKS or (several and len(trials) < 2):
            return None
        draws = self.times[self.times @ scored > 0]
        left_out = (self.trial != trials[:, None]).astype(float) if several else np.zeros((0, len(self.begin)))
        return Blocks(self.begin, self.trial, np.concatenate([draws, left_out]), int(scored.sum()), len(left_out))

    def interval(self, rows: np.ndarray, score: float) -> Interval:
        """Return the interval of a score, given the score of each row, which is NaN where it has none; rows: (rows,).

        None if the score depends on a single trial.
        """
        draws, left_out = np.split(rows, [len(rows) - self.trials])
        low, high = percentile_interval(draws[~np.isnan(draws)], self.scored)
        if not self.trials:
            return low, high
        half = jackknife_half(left_out, score)
        return None if np.isnan(half) else (min(low, score - half), max(high, score + half))

    def sums(self, value: np.ndarray) -> np.ndarray:
        """Return (rows, k) sums over each row's events; value: (n, k)."""
        return self.times @ np.add.reduceat(value, self.begin, axis=0)

    def symbol_sums(self, symbol: np.ndarray, symbols: int, weight: np.ndarray) -> np.ndarray:
        """Return (rows, symbols) weight of each symbol over each row's events; symbol, weight: (n,)."""
        block = np.searchsorted(self.begin, np.arange(len(symbol)), side="right") - 1
        cells = np.bincount(block * symbols + symbol, weight, minlength=len(self.begin) * symbols)
        return self.times @ cells.reshape(len(self.begin), symbols)


def stream_lengths(stream: np.ndarray) -> np.ndarray:
    """Return (streams,) the number of events of each stream, in order; stream: (n,)."""
    seams = np.flatnonzero(np.diff(stream)) + 1
    return np.diff(np.concatenate([[0], seams, [len(stream)]]))


def block_starts(lengths: np.ndarray) -> np.ndarray:
    """Return (blocks,) the index of each block's first event; lengths: (streams,) number of events.

    Every stream is cut into blocks of its own. Few events make shorter blocks; fewer than 20 are one block.
    """
    events = int(lengths.sum())
    wanted = min(max(min(MIN_BLOCKS, events // 10), events // BLOCK_EVENTS), MAX_BLOCKS)
    if wanted < 2:
        return np.zeros(1, int)
    starts = np.cumsum(lengths) - lengths
    counts = np.maximum(1, np.rint(wanted * lengths / max(events, 1)).astype(int))
    cuts = [np.linspace(a, a + n, k, endpoint=False) for a, n, k in zip(starts, lengths, counts, strict=True)]
    return np.concatenate(cuts).astype(int)


def mean_interval(
    value: np.ndarray,
    weight: np.ndarray | None = None,
    stream: np.ndarray | None = None,
    trial: np.ndarray | None = None,
    seed: int = 0,
) -> Interval:
    """Return the interval of sum(value * weight) / sum(weight); value, weight, stream, trial: (n,), in time order.

    Without weight, all events weigh the same; without stream or trial, all are of one. None if fewer than
    MIN_SCORED_BLOCKS blocks have weight.
    """
    weight = np.ones(len(value)) if weight is None else weight.astype(float)
    blocks = Blocks.draw(np.zeros(len(value), int) if stream is None else stream, trial, seed).with_weight(weight)
    if blocks is None:
        return None
    sums = blocks.sums(np.stack([value * weight, weight], axis=1))
    return blocks.interval(sums[:, 0] / sums[:, 1], float((value * weight).sum() / weight.sum()))


def jackknife_half(left_out: np.ndarray, score: float) -> float:
    """Return half of Student's interval of a score over trials; left_out: (trials,) the scores without one of them."""
    trials = len(left_out)
    error = np.sqrt((trials - 1) / trials * ((left_out - score) ** 2).sum())
    return float(stats.t.ppf((1 + LEVEL) / 2, trials - 1) * error)


def percentile_interval(draws: np.ndarray, blocks: int) -> tuple[float, float]:
    """Return the expanded percentile interval of (draws,) scores, each drawn from `blocks` blocks.

    Quantiles are linear between order statistics (numpy's default; type 7 of Hyndman and Fan, 1996).
    """
    z = stats.t.ppf((1 + LEVEL) / 2, blocks - 1) * np.sqrt(blocks / (blocks - 1))
    low, high = np.quantile(draws, stats.norm.cdf([-z, z]))
    return float(low), float(high)


def seed_interval(scores: Sequence[float]) -> Interval:
    """Return Student's interval of the mean of one score per seed; None for fewer than two seeds."""
    return seed_difference_interval(scores, [0.0])


def seed_difference_interval(scores: Sequence[float], baselines: Sequence[float]) -> Interval:
    """Return Welch's interval (Biometrika 34, 1947) of mean(scores) - mean(baselines), one score per seed.

    A single baseline counts as a constant that no seed changes. None for a single score.
    """
    if len(scores) < 2:
        return None
    middle = float(np.mean(scores) - np.mean(baselines))
    several = [side for side in (scores, baselines) if len(side) > 1]
    variance = [float(np.var(side, ddof=1)) / len(side) for side in several]
    total = sum(variance)
    if not total:
        return middle, middle
    freedom = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(variance, several, strict=True))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(total))
    return middle - half, middle + half

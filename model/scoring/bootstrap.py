"""Intervals for scores of dependent events: block bootstrap over time, Student's t over seeds.

Neighbouring events are not independent draws, so whole blocks of them are redrawn (Kuensch, Annals of Statistics
17(3), 1989). A block is long against the memory of a scheduler, there are enough blocks to redraw, and none reaches
over the end of a stream: events at both sides of such a seam are no neighbours.

The middle 95 % of the redraws of n blocks is too narrow, as a normal interval is where Student's is right, and by the
factor sqrt((n - 1) / n) besides. Of 20 blocks it held the truth 92 to 93 times in a hundred, of 5 blocks 87 times. As
much more of the redraws is taken as makes up for both: the expanded percentile interval (Hesterberg, The American
Statistician 69(4), 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

BLOCK = 1000  # events; with 200, intervals were half as wide as with 3000: how regular a guest is drifts over seconds
FEWEST_BLOCKS = 20
FEWEST_HOLDING = 5  # blocks with any of the events that are scored; one redraw in 150 has then none of them
MOST_BLOCKS = 2000  # of very long recordings blocks are longer instead: what is redrawn stays within memory
REDRAWS = 1000
LEVEL = 0.95

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Blocks:
    """Events cut into blocks, and how often each block was drawn in each of REDRAWS draws with replacement."""

    begin: np.ndarray  # (blocks,) number of each block's first event
    times: np.ndarray  # float64 (draws, blocks)
    held: int  # how many blocks have anything of what is scored

    @classmethod
    def of(cls, stream: np.ndarray, seed: int = 0) -> Blocks:
        """stream: (n,) the number of the stream that each event is of; a stream's events stand together."""
        begin = blocks_of(lengths_of(stream))
        draws = np.random.default_rng(seed).integers(0, len(begin), (REDRAWS, len(begin)))
        cells = np.arange(REDRAWS)[:, None] * len(begin) + draws
        times = np.bincount(cells.ravel(), minlength=REDRAWS * len(begin)).reshape(REDRAWS, -1)
        return cls(begin, times.astype(float), len(begin))

    def holding(self, weight: np.ndarray) -> Blocks | None:
        """The draws with any weight, (n,) of the events: what has no event has no score, which is not a score of zero.

        None where fewer than FEWEST_HOLDING blocks have any, too few to tell how far the next ones would differ.
        """
        heavy = np.add.reduceat((weight > 0).astype(float), self.begin) > 0
        if heavy.sum() < FEWEST_HOLDING:
            return None
        return Blocks(self.begin, self.times[self.times @ heavy > 0], int(heavy.sum()))

    def redrawn(self, value: np.ndarray) -> np.ndarray:
        """(draws, k) sums over the drawn blocks of (n, k) values."""
        return self.times @ np.add.reduceat(value, self.begin, axis=0)

    def counted(self, symbol: np.ndarray, symbols: int, weight: np.ndarray) -> np.ndarray:
        """(draws, symbols) weight of each symbol over the drawn blocks; symbol, weight: (n,)."""
        block = np.searchsorted(self.begin, np.arange(len(symbol)), side="right") - 1
        cells = np.bincount(block * symbols + symbol, weight, minlength=len(self.begin) * symbols)
        return self.times @ cells.reshape(len(self.begin), symbols)


def lengths_of(stream: np.ndarray) -> np.ndarray:
    """(streams,) events of each, in the order in which they stand."""
    seams = np.flatnonzero(np.diff(stream)) + 1
    return np.diff(np.concatenate([[0], seams, [len(stream)]]))


def blocks_of(lengths: np.ndarray) -> np.ndarray:
    """Where each block begins; each stream has its own, fewer and shorter ones where there are few events.

    Of fewer than 20 events all are one block.
    """
    events = int(lengths.sum())
    wanted = min(max(min(FEWEST_BLOCKS, events // 10), events // BLOCK), MOST_BLOCKS)
    if wanted < 2:
        return np.zeros(1, int)
    starts = np.cumsum(lengths) - lengths
    shares = np.maximum(1, np.rint(wanted * lengths / max(events, 1)).astype(int))
    cuts = [np.linspace(a, a + n, k, endpoint=False) for a, n, k in zip(starts, lengths, shares, strict=True)]
    return np.concatenate(cuts).astype(int)


def interval(
    value: np.ndarray, weight: np.ndarray | None = None, stream: np.ndarray | None = None, seed: int = 0
) -> Interval:
    """95 % interval of sum(value * weight) / sum(weight), events in time order; None for fewer than FEWEST_HOLDING
    blocks with any weight.

    Left out, all events weigh the same and are of one stream.
    """
    weight = np.ones(len(value)) if weight is None else weight.astype(float)
    blocks = Blocks.of(np.zeros(len(value), int) if stream is None else stream, seed).holding(weight)
    if blocks is None:
        return None
    sums = blocks.redrawn(np.stack([value * weight, weight], axis=1))
    return ends(sums[:, 0] / sums[:, 1], blocks.held)


def ends(redrawn: np.ndarray, blocks: int) -> tuple[float, float]:
    """95 % interval by what was redrawn of so many blocks."""
    wide = stats.t.ppf((1 + LEVEL) / 2, blocks - 1) * np.sqrt(blocks / (blocks - 1))
    low, high = np.quantile(redrawn, stats.norm.cdf([-wide, wide]))
    return float(low), float(high)


def over_seeds(scores: Sequence[float]) -> Interval:
    """95 % interval of the mean over seeds; None for fewer than two."""
    return apart_over_seeds(scores, [0.0])


def apart_over_seeds(scores: Sequence[float], others: Sequence[float]) -> Interval:
    """95 % interval of mean(scores) - mean(others), each over seeds of its own: Student's, with Welch's degrees of
    freedom (Biometrika 34, 1947). A single one of `others` is taken for what no seed changes; None for a single score.
    """
    if len(scores) < 2:
        return None
    middle = float(np.mean(scores) - np.mean(others))
    several = [side for side in (scores, others) if len(side) > 1]
    variance = [float(np.var(side, ddof=1)) / len(side) for side in several]
    total = sum(variance)
    if not total:
        return middle, middle
    freedom = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(variance, several, strict=True))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(total))
    return middle - half, middle + half

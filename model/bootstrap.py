"""Intervals for scores of dependent events: block bootstrap over time, Student's t over seeds.

Neighbouring events are not independent draws, so whole blocks of them are redrawn (Kuensch, Annals of Statistics
17(3), 1989). A block is long against the memory of a scheduler and there are enough blocks to redraw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

BLOCK = 1000  # events; with 200, intervals were half as wide as with 3000: how regular a guest is drifts over seconds
FEWEST_BLOCKS = 20
REDRAWS = 1000
LEVEL = 0.95


def interval(value: np.ndarray, weight: np.ndarray | None = None, seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of sum(value * weight) / sum(weight), events in time order; None for fewer than two blocks."""
    weight = np.ones(len(value)) if weight is None else weight.astype(float)
    begin = blocks_of(len(value))
    if len(begin) < 2 or weight.sum() == 0:
        return None
    above, below = np.add.reduceat(value * weight, begin), np.add.reduceat(weight, begin)
    draw = redraws(len(begin), seed)
    ratios = above[draw].sum(axis=1) / np.maximum(below[draw].sum(axis=1), 1e-12)
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def blocks_of(events: int) -> np.ndarray:
    """Where each block begins; fewer and shorter blocks where there are few events."""
    blocks = max(min(FEWEST_BLOCKS, events // 10), events // BLOCK)
    return np.linspace(0, events, blocks, endpoint=False).astype(int)


def redraws(blocks: int, seed: int = 0) -> np.ndarray:
    """(REDRAWS, blocks) numbers of the blocks drawn each time, with replacement."""
    return np.random.default_rng(seed).integers(0, blocks, (REDRAWS, blocks))


def over_seeds(scores: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean over seeds; None for fewer than two."""
    if len(scores) < 2:
        return None
    half = stats.t.ppf((1 + LEVEL) / 2, len(scores) - 1) * np.std(scores, ddof=1) / np.sqrt(len(scores))
    return float(np.mean(scores) - half), float(np.mean(scores) + half)

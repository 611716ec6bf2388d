"""Scores over chosen events, each with its 95 % interval by block bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.data.marks import UNKNOWN
from model.scoring.bootstrap import Blocks, Interval, ends
from model.scoring.outcomes import Outcomes

MEANS = {  # score -> the column of Outcomes it is the mean of
    "top1": "hit",
    "top3": "hit3",
    "bits_per_switch": "bits",
    "time_nll_nats": "slice_nats",
    "time_mae_us": "slice_error_us",
    "time_crps_us": "slice_crps_us",
}
INTERVALS = {"bits_per_switch": "bits_ci", "time_nll_nats": "time_nll_ci", "time_mae_us": "time_mae_ci"}
CONFIDENCE_BINS = 15
RANK_BINS = 200  # of redrawn ranks; the score itself is exact
SHOWN_BINS = 10  # of `time_pit`


@dataclass(frozen=True)
class Measured:
    """A score and what it is in each redraw of `blocks` blocks, (draws,): None where the events lie in too few of them,
    or have no score.

    An error is centred: what is redrawn from a sample is further off than the sample, by chance alone.
    """

    score: float | None
    redrawn: np.ndarray | None = None
    blocks: int = 0
    centred: bool = False

    @classmethod
    def mean(cls, seeds: Sequence[Measured]) -> Measured:
        """The mean score of several seeds, whose blocks were redrawn alike."""
        scores = [one.score for one in seeds if one.score is not None]
        draws = [one.redrawn for one in seeds if one.redrawn is not None]
        score = float(np.mean(scores)) if len(scores) == len(seeds) else None
        drawn = np.mean(draws, axis=0) if len(draws) == len(seeds) else None
        return cls(score, drawn, seeds[0].blocks, seeds[0].centred)

    def interval(self) -> Interval:
        """95 %, by the redraws."""
        if self.redrawn is None or self.score is None:
            return None
        if not self.centred:
            return ends(self.redrawn, self.blocks)
        low, high = ends(self.redrawn - self.redrawn.mean() + self.score, self.blocks)
        return max(0.0, low), high


def table(found: Outcomes, chosen: np.ndarray, blocks: Blocks) -> dict[str, object]:
    """Scores of the chosen events (n,), and their intervals; without any, only their number.

    An interval is None where the chosen lie in fewer than `bootstrap.FEWEST_HOLDING` blocks.
    """
    if not chosen.any():
        return {"events": 0}
    shares = np.histogram(found.slice_rank[chosen], SHOWN_BINS, (0, 1))[0] / chosen.sum()
    told = told_of([measured(found, chosen, blocks)])
    return {"events": int(chosen.sum()), **told, "time_pit": shares.tolist()}


def told_of(seeds: Sequence[dict[str, Measured]]) -> dict[str, object]:
    """Each score, the mean of what was measured with each seed, and its interval."""
    told: dict[str, object] = {}
    for name in seeds[0]:
        mean = Measured.mean([one[name] for one in seeds])
        told |= {name: mean.score, INTERVALS.get(name, f"{name}_ci"): mean.interval()}
    return told


def measured(found: Outcomes, chosen: np.ndarray, blocks: Blocks) -> dict[str, Measured]:
    """Every score of the chosen events, of which there must be some."""
    held = blocks.holding(chosen)
    return {
        **_means(found, chosen, held),
        "top1_known": _top1_known(found, chosen, blocks),
        "macro_recall": _macro_recall(found, chosen, held),
        "calibration_error": _calibration_error(found, chosen, held),
        "time_calibration_error": _rank_error(found.slice_rank, chosen, held),
    }


def _means(found: Outcomes, chosen: np.ndarray, blocks: Blocks | None) -> dict[str, Measured]:
    names = [*MEANS, "joint_nats"]
    each = [getattr(found, column) for column in MEANS.values()] + [found.bits * np.log(2) + found.slice_nats]
    columns = np.stack(each, axis=1).astype(float)
    mean = columns[chosen].mean(axis=0)
    if blocks is None:
        return {name: Measured(float(mean[place])) for place, name in enumerate(names)}
    sums = blocks.redrawn(np.column_stack([columns * chosen[:, None], chosen]))
    redrawn = sums[:, :-1] / sums[:, -1:]
    return {name: Measured(float(mean[place]), redrawn[:, place], blocks.held) for place, name in enumerate(names)}


def _top1_known(found: Outcomes, chosen: np.ndarray, blocks: Blocks) -> Measured:
    """`top1` among the events whose task the train part knew; None without any."""
    known = chosen & (found.mark != UNKNOWN)
    if not known.any():
        return Measured(None)
    score, held = float(found.hit[known].mean()), blocks.holding(known)
    if held is None:
        return Measured(score)
    sums = held.redrawn(np.column_stack([found.hit & known, known]).astype(float))
    return Measured(score, sums[:, 0] / sums[:, 1], held.held)


def _macro_recall(found: Outcomes, chosen: np.ndarray, blocks: Blocks | None) -> Measured:
    """Mean over marks of the share of its events that were foreseen: the rare task counts as much as the common one."""
    names, inverse = np.unique(found.mark[chosen], return_inverse=True)
    right = np.bincount(inverse, weights=found.hit[chosen], minlength=len(names))
    score = float((right / np.bincount(inverse, minlength=len(names))).mean())
    if blocks is None:
        return Measured(score)
    marks = int(found.mark.max()) + 1
    seen = blocks.counted(found.mark, marks, chosen.astype(float))
    hits = blocks.counted(found.mark, marks, (chosen & found.hit).astype(float))
    recall = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return Measured(score, recall.sum(axis=1) / (seen > 0).sum(axis=1), blocks.held)


def _calibration_error(found: Outcomes, chosen: np.ndarray, blocks: Blocks | None) -> Measured:
    """Expected calibration error (Guo et al., ICML 2017) of the most probable mark, bins of equal width."""
    which = np.minimum((found.confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    gap = np.where(chosen, found.hit - found.confidence, 0.0)
    error = float(np.abs(np.bincount(which, gap)).sum() / chosen.sum())
    if blocks is None:
        return Measured(error)
    drawn = blocks.redrawn(chosen[:, None].astype(float))[:, 0]
    redrawn = np.abs(blocks.counted(which, CONFIDENCE_BINS, gap)).sum(axis=1) / drawn
    return Measured(error, redrawn, blocks.held, centred=True)


def _rank_error(rank: np.ndarray, chosen: np.ndarray, blocks: Blocks | None) -> Measured:
    """Largest gap between the ranks of dt in their densities and the uniform law: Kolmogorov's distance of the PIT."""
    ordered, steps = np.sort(rank[chosen]), np.arange(chosen.sum() + 1) / chosen.sum()
    error = float(max(np.abs(ordered - steps[1:]).max(), np.abs(ordered - steps[:-1]).max()))
    if blocks is None:
        return Measured(error)
    which = np.clip((rank * RANK_BINS).astype(int), 0, RANK_BINS - 1)
    below = np.cumsum(blocks.counted(which, RANK_BINS, chosen.astype(float)), axis=1)
    uniform = np.arange(1, RANK_BINS + 1) / RANK_BINS
    return Measured(error, np.abs(below / below[:, -1:] - uniform).max(axis=1), blocks.held, centred=True)

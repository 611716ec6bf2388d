"""Scores over chosen events, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from model.data.marks import UNKNOWN
from model.scoring.bootstrap import Blocks, Interval
from model.scoring.outcomes import Outcomes

MEANS = {  # score -> the column of Outcomes it is the mean of
    "top1": "hit",
    "top3": "hit3",
    "bits_per_switch": "bits",
    "time_bits": "time_bits",
    "joint_bits": "joint_bits",
    "time_mae_us": "slice_error_us",
    "time_crps_us": "slice_crps_us",
    "above_chance": "above_chance",
}
INTERVALS = {"bits_per_switch": "bits_ci", "time_mae_us": "time_mae_ci"}
ANY = (-np.inf, np.inf)
BOUNDS = {"time_bits": ANY, "joint_bits": ANY, "above_chance": (-1.0, 1.0)}
BOUNDS |= dict.fromkeys(("bits_per_switch", "time_mae_us", "time_crps_us"), (0.0, np.inf))  # of others 0 to 1
CONFIDENCE_BINS = 15
RANK_BINS = 200  # used for the rows of blocks only; the score itself is exact
PIT_BINS = 10  # of `time_pit`, the histogram of ranks (probability integral transform)


@dataclass(frozen=True)
class ScoreEstimate:
    """A score, and its value in each of the (rows,) of `blocks`: bootstrap draws, and without each of the trials.

    `score` is None if no event has one; `blocks` is None if the events lie in too few. `centred` is set for distances,
    such as calibration errors: chance makes the distance of the draws larger than that of the sample, so the draws are
    shifted until their mean is the score.
    """

    score: float | None
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0))
    blocks: Blocks | None = None
    centred: bool = False

    @classmethod
    def mean(cls, seeds: Sequence[ScoreEstimate]) -> ScoreEstimate:
        """Average one score over seeds, all with the same block draws."""
        scores = [seed.score for seed in seeds if seed.score is not None]
        mean_score = float(np.mean(scores)) if len(scores) == len(seeds) else None
        rows = np.mean([seed.rows for seed in seeds], axis=0)
        return cls(mean_score, rows, seeds[0].blocks, seeds[0].centred)

    def interval(self, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
        """Return the 95 % interval, within the bounds of the score."""
        if self.blocks is None or self.score is None:
            return None
        rows = self.rows.copy()
        if self.centred:
            draws = rows[: len(rows) - self.blocks.trials]
            draws += self.score - draws.mean()
        interval = self.blocks.interval(rows, self.score)
        return interval and (max(bounds[0], interval[0]), min(bounds[1], interval[1]))


def score_part(outcomes: Outcomes, mask: np.ndarray, blocks: Blocks) -> dict[str, object]:
    """Return scores and intervals of the events in mask (n,); without any event only their number.

    An interval is None if the events lie in fewer than `bootstrap.MIN_SCORED_BLOCKS` blocks, or in one of
    several trials.
    """
    if not mask.any():
        return {"events": 0}
    pit = np.histogram(outcomes.slice_rank[mask], PIT_BINS, (0, 1))[0] / mask.sum()
    scores = summarise_scores([estimate_scores(outcomes, mask, blocks)])
    return {"events": int(mask.sum()), **scores, "time_pit": pit.tolist()}


def summarise_scores(seeds: Sequence[dict[str, ScoreEstimate]]) -> dict[str, object]:
    """Return each score averaged over seeds, and its interval."""
    summary: dict[str, object] = {}
    for name in seeds[0]:
        mean = ScoreEstimate.mean([seed[name] for seed in seeds])
        interval = mean.interval(BOUNDS.get(name, (0.0, 1.0)))
        summary |= {name: mean.score, INTERVALS.get(name, f"{name}_ci"): interval}
    return summary


def estimate_scores(outcomes: Outcomes, mask: np.ndarray, blocks: Blocks) -> dict[str, ScoreEstimate]:
    """Estimate every score of the events in mask (n,), which must hold at least one."""
    drawn = blocks.with_weight(mask)
    return {
        **_means(outcomes, mask, drawn),
        "top1_known": _top1_known(outcomes, mask, blocks),
        "macro_recall": _macro_recall(outcomes, mask, drawn),
        "calibration_error": _calibration_error(outcomes, mask, drawn),
        "time_calibration_error": _rank_error(outcomes.slice_rank, mask, drawn),
    }


def _means(outcomes: Outcomes, mask: np.ndarray, blocks: Blocks | None) -> dict[str, ScoreEstimate]:
    values = np.stack([getattr(outcomes, column) for column in MEANS.values()], axis=1).astype(float)
    mean = values[mask].mean(axis=0)
    if blocks is None:
        return {name: ScoreEstimate(float(score)) for name, score in zip(MEANS, mean, strict=True)}
    sums = blocks.sums(np.column_stack([values * mask[:, None], mask]))
    rows = sums[:, :-1] / sums[:, -1:]
    return {name: ScoreEstimate(float(mean[i]), rows[:, i], blocks) for i, name in enumerate(MEANS)}


def _top1_known(outcomes: Outcomes, mask: np.ndarray, blocks: Blocks) -> ScoreEstimate:
    """`top1` among the events whose task occurs in the train part; None without any."""
    known = mask & (outcomes.mark != UNKNOWN)
    if not known.any():
        return ScoreEstimate(None)
    score, drawn = float(outcomes.hit[known].mean()), blocks.with_weight(known)
    if drawn is None:
        return ScoreEstimate(score)
    sums = drawn.sums(np.column_stack([outcomes.hit & known, known]).astype(float))
    return ScoreEstimate(score, sums[:, 0] / sums[:, 1], drawn)


def _macro_recall(outcomes: Outcomes, mask: np.ndarray, blocks: Blocks | None) -> ScoreEstimate:
    """Mean over marks of the share of its events that were hit: a rare task counts as much as a common one."""
    names, inverse = np.unique(outcomes.mark[mask], return_inverse=True)
    hits = np.bincount(inverse, weights=outcomes.hit[mask], minlength=len(names))
    score = float((hits / np.bincount(inverse, minlength=len(names))).mean())
    if blocks is None:
        return ScoreEstimate(score)
    marks = int(outcomes.mark.max()) + 1
    events = blocks.symbol_sums(outcomes.mark, marks, mask.astype(float))
    hits = blocks.symbol_sums(outcomes.mark, marks, (mask & outcomes.hit).astype(float))
    recall = np.divide(hits, events, out=np.zeros_like(hits), where=events > 0)
    return ScoreEstimate(score, recall.sum(axis=1) / (events > 0).sum(axis=1), blocks)


def _calibration_error(outcomes: Outcomes, mask: np.ndarray, blocks: Blocks | None) -> ScoreEstimate:
    """Expected calibration error of the most probable mark (Guo et al., ICML 2017), bins of equal width."""
    bins = np.minimum((outcomes.confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    gap = np.where(mask, outcomes.hit - outcomes.confidence, 0.0)
    error = float(np.abs(np.bincount(bins, gap)).sum() / mask.sum())
    if blocks is None:
        return ScoreEstimate(error)
    events = blocks.sums(mask[:, None].astype(float))[:, 0]
    rows = np.abs(blocks.symbol_sums(bins, CONFIDENCE_BINS, gap)).sum(axis=1) / events
    return ScoreEstimate(error, rows, blocks, centred=True)


def _rank_error(rank: np.ndarray, mask: np.ndarray, blocks: Blocks | None) -> ScoreEstimate:
    """Kolmogorov's distance between the ranks of dt in their densities and the uniform law."""
    ordered, steps = np.sort(rank[mask]), np.arange(mask.sum() + 1) / mask.sum()
    error = float(max(np.abs(ordered - steps[1:]).max(), np.abs(ordered - steps[:-1]).max()))
    if blocks is None:
        return ScoreEstimate(error)
    bins = np.clip((rank * RANK_BINS).astype(int), 0, RANK_BINS - 1)
    below = np.cumsum(blocks.symbol_sums(bins, RANK_BINS, mask.astype(float)), axis=1)
    uniform = np.arange(1, RANK_BINS + 1) / RANK_BINS
    rows = np.abs(below / below[:, -1:] - uniform).max(axis=1)
    return ScoreEstimate(error, rows, blocks, centred=True)

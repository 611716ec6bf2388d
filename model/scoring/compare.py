"""Two predictors on the same events: how much better is one, and could that be chance?

The comparison is paired: each trial, and each draw of blocks, scores both predictors on the same events, so what is
common to both cancels. Two predictors whose own intervals overlap may still differ beyond chance. The trial is the
unit, as in `bootstrap`; of a single trial the interval is about this recording only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import SettingError, StreamError
from model.scoring.bootstrap import Blocks, Interval, seed_difference_interval
from model.scoring.outcomes import Outcomes, read_outcomes
from model.scoring.scores import part_masks, require_same_events

PARTS = ("overall", "contested", "open")
SCORES = {"top1": "hit", "bits_per_switch": "bits", "time_bits": "time_bits"}  # score -> column of Outcomes
MORE_IS_BETTER = ("top1",)


@dataclass(frozen=True)
class Difference:
    """A score of both predictors; `difference` is value - baseline, `saving` (bits only) is 1 - value / baseline.

    Intervals are 95 %; None if the events lie in fewer than `bootstrap.MIN_SCORED_BLOCKS` blocks, or in one of several
    trials.
    """

    value: float
    baseline: float
    difference: float
    difference_ci: Interval
    saving: float | None = None
    saving_ci: Interval = None


@dataclass(frozen=True)
class Comparison:
    """One score on one part of the events, for the mean of the seeds (`together`) and for each seed.

    `interval_trials` is the number of trials that the other intervals are over: with 1 they are about this recording
    only (or about these recordings, if an older scorer wrote the outcomes). `*_seeds_ci` are Welch's intervals over the
    seeds of both predictors, None for one seed; a baseline of one seed counts as a constant.
    """

    part: str
    score: str
    events: int
    interval_trials: int
    together: Difference
    by_seed: tuple[Difference, ...]
    difference_seeds_ci: Interval
    saving_seeds_ci: Interval

    @property
    def outcome(self) -> str:
        """`better` or `worse` if the interval of the difference excludes zero, else `unclear`."""
        return verdict(self.together, self.score)

    @property
    def seeds_better(self) -> int:
        """Number of seeds that are each better beyond chance."""
        return sum(verdict(seed, self.score) == "better" for seed in self.by_seed)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields and both properties as plain values."""
        return {**asdict(self), "outcome": self.outcome, "seeds_better": self.seeds_better}


def verdict(difference: Difference, score: str) -> str:
    """Return `better`, `worse` or `unclear` for the first of the two predictors."""
    if difference.difference_ci is None or difference.difference_ci[0] <= 0 <= difference.difference_ci[1]:
        return "unclear"
    return "better" if (difference.difference > 0) == (score in MORE_IS_BETTER) else "worse"


def compare(
    folders: Sequence[Path], baselines: Sequence[Path], parts: Sequence[str] = PARTS, scores: Sequence[str] = (*SCORES,)
) -> list[Comparison]:
    """Compare one predictor with another, given the model folders of the seeds of each.

    Every seed is compared with the mean of the baseline's seeds. Parts without events are left out. Raises StreamError
    if any two were scored on different events, TableError if a folder has no outcomes, SettingError for an unknown part
    or score.
    """
    for kind, wanted, known in (("part", parts, PARTS), ("score", scores, (*SCORES,))):
        if unknown := [name for name in wanted if name not in known]:
            raise SettingError(f"{kind} {unknown[0]!r}: expected one of {', '.join(known)}")
    try:
        return compare_outcomes(_read(folders), _read(baselines), parts, scores)
    except StreamError as error:
        raise StreamError(f"{folders[0]} and {baselines[0]}: {error}") from error


def compare_outcomes(
    ours: Sequence[Outcomes],
    theirs: Sequence[Outcomes],
    parts: Sequence[str] = PARTS,
    scores: Sequence[str] = (*SCORES,),
) -> list[Comparison]:
    """Compare one predictor with another, as `compare` does, given the outcomes of the seeds of each.

    Raises StreamError if any two are of different events.
    """
    for outcomes in (*ours, *theirs):
        require_same_events(ours[0], outcomes)
    blocks, masks = Blocks.draw(ours[0].stream, ours[0].trial), part_masks(ours[0])
    return [
        _comparison(part, score, masks[part], blocks, ours, theirs)
        for part in parts
        if masks[part].any()
        for score in scores
    ]


def _read(folders: Sequence[Path]) -> list[Outcomes]:
    if not folders:
        raise SettingError("no models to compare: expected the folders of at least one seed of both")
    return [read_outcomes(folder) for folder in folders]


def _comparison(
    part: str, score: str, mask: np.ndarray, blocks: Blocks, ours: Sequence[Outcomes], theirs: Sequence[Outcomes]
) -> Comparison:
    column, count = SCORES[score], int(mask.sum())
    our_columns, their_columns = ([getattr(seed, column) * mask for seed in side] for side in (ours, theirs))
    baseline = np.mean(their_columns, axis=0)
    scored_blocks, relative = blocks.with_weight(mask), score == "bits_per_switch"
    by_seed = tuple(_difference(seed.astype(float), baseline, mask, scored_blocks, relative) for seed in our_columns)
    together = _difference(np.mean(our_columns, axis=0), baseline, mask, scored_blocks, relative)
    baselines = [float(seed.sum()) / count for seed in their_columns]
    difference_ci = seed_difference_interval([seed.value for seed in by_seed], baselines)
    trials, saving_ci = len(np.unique(ours[0].trial)), _saving_interval(by_seed, baselines)
    return Comparison(part, score, count, trials, together, by_seed, difference_ci, saving_ci)


def _saving_interval(by_seed: Sequence[Difference], baselines: Sequence[float]) -> Interval:
    """Interval over seeds of 1 - mean value / mean baseline, linearised near both means (delta method)."""
    savings = [seed.saving for seed in by_seed if seed.saving is not None]
    if not savings:
        return None
    ratio = 1 - float(np.mean(savings))
    return seed_difference_interval(savings, [ratio * (1 - base / float(np.mean(baselines))) for base in baselines])


def _difference(
    value: np.ndarray, baseline: np.ndarray, mask: np.ndarray, blocks: Blocks | None, relative: bool
) -> Difference:
    """Compare means over the events of `mask`; value, baseline: (n,), zero elsewhere. `relative` adds the saving."""
    mean, base = value.sum() / mask.sum(), baseline.sum() / mask.sum()
    saving = float(1 - mean / base) if relative and baseline.sum() else None
    difference_ci = saving_ci = None
    if blocks is not None:
        sums = blocks.sums(np.column_stack([value, baseline, mask]).astype(float))
        difference_ci = blocks.interval((sums[:, 0] - sums[:, 1]) / sums[:, 2], float(mean - base))
        if saving is not None:
            spent = np.where(sums[:, 1] > 0, sums[:, 1], np.nan)
            saving_ci = blocks.interval(1 - sums[:, 0] / spent, saving)
    return Difference(float(mean), float(base), float(mean - base), difference_ci, saving, saving_ci)

"""Two predictors on the same events: how much better is one, and could it be chance?

Both are redrawn together (a paired block bootstrap), so what is common to both cancels: two predictors whose own
intervals overlap may still differ beyond chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import SettingError, StreamError
from model.scoring import outcomes
from model.scoring.bootstrap import Blocks, Interval, apart_over_seeds, ends
from model.scoring.outcomes import Outcomes
from model.scoring.scores import chosen_of, same_events

PARTS = ("overall", "contested", "open")
SCORES = {"top1": "hit", "bits_per_switch": "bits", "time_nll_nats": "slice_nats"}  # score -> column of Outcomes
MORE_IS_BETTER = ("top1",)


@dataclass(frozen=True)
class Difference:
    """A score of both and their difference, `value - baseline`; `saving` is `1 - value / baseline`, where there is any.

    Intervals are 95 %; None where the events lie in fewer than `bootstrap.FEWEST_HOLDING` blocks.
    """

    value: float
    baseline: float
    difference: float
    difference_ci: Interval
    saving: float | None = None
    saving_ci: Interval = None


@dataclass(frozen=True)
class Comparison:
    """One score on one part: the mean over the seeds, each seed by itself, and of the difference and of the saving
    Student's interval over the seeds of both sides: None for one seed. A baseline of one seed is taken as it is."""

    part: str
    score: str
    events: int
    together: Difference
    by_seed: tuple[Difference, ...]
    difference_seeds_ci: Interval
    saving_seeds_ci: Interval

    @property
    def outcome(self) -> str:
        """`better` or `worse` where the interval of the difference holds no zero, else `unclear`."""
        return verdict(self.together, self.score)

    @property
    def seeds_better(self) -> int:
        """How many seeds are better beyond chance each by itself."""
        return sum(verdict(seed, self.score) == "better" for seed in self.by_seed)

    def told(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "outcome": self.outcome, "seeds_better": self.seeds_better}


def verdict(found: Difference, score: str) -> str:
    """What a difference says of the first of both."""
    if found.difference_ci is None or found.difference_ci[0] <= 0 <= found.difference_ci[1]:
        return "unclear"
    return "better" if (found.difference > 0) == (score in MORE_IS_BETTER) else "worse"


def compare(
    folders: Sequence[Path], baselines: Sequence[Path], parts: Sequence[str] = PARTS, scores: Sequence[str] = (*SCORES,)
) -> list[Comparison]:
    """The seeds of one predictor (the folders of its models) against the mean of the seeds of another.

    Parts without an event are left out. StreamError if any two were not scored on the same events; TableError if what
    became of each event was not kept; SettingError for a part or a score that is none.
    """
    for kind, asked, known in (("part", parts, PARTS), ("score", scores, (*SCORES,))):
        if unknown := [name for name in asked if name not in known]:
            raise SettingError(f"{kind} {unknown[0]!r}: expected one of {', '.join(known)}")
    mine, other = _read(folders), _read(baselines)
    try:
        first = [same_events(mine[0], one) for one in (*mine, *other)][-1]
    except StreamError as error:
        raise StreamError(f"{folders[0]} and {baselines[0]}: {error}") from error
    blocks, chosen = Blocks.of(first.stream), chosen_of(first)
    return [_compared(part, score, chosen[part], blocks, mine, other)
            for part in parts if chosen[part].any() for score in scores]  # fmt: skip


def _read(folders: Sequence[Path]) -> list[Outcomes]:
    if not folders:
        raise SettingError("no models to compare: expected the folders of at least one seed of both")
    return [outcomes.read(folder) for folder in folders]


def _compared(
    part: str, score: str, chosen: np.ndarray, blocks: Blocks, mine: Sequence[Outcomes], other: Sequence[Outcomes]
) -> Comparison:
    column, count = SCORES[score], int(chosen.sum())
    left, single = ([getattr(one, column) * chosen for one in side] for side in (mine, other))
    right = np.mean(single, axis=0)
    held, relative = blocks.holding(chosen), score == "bits_per_switch"
    each = tuple(_difference(one.astype(float), right, chosen, held, relative) for one in left)
    together = _difference(np.mean(left, axis=0), right, chosen, held, relative)
    baselines = [float(one.sum()) / count for one in single]
    apart, saved = apart_over_seeds([one.value for one in each], baselines), _saved_over_seeds(each, baselines)
    return Comparison(part, score, count, together, each, apart, saved)


def _saved_over_seeds(each: Sequence[Difference], baselines: Sequence[float]) -> Interval:
    """Of 1 - mean value / mean baseline; that of both is taken for linear near their means (delta method)."""
    saved = [one.saving for one in each if one.saving is not None]
    if not saved:
        return None
    left = 1 - float(np.mean(saved))
    return apart_over_seeds(saved, [left * (1 - one / float(np.mean(baselines))) for one in baselines])


def _difference(
    left: np.ndarray, right: np.ndarray, chosen: np.ndarray, blocks: Blocks | None, relative: bool
) -> Difference:
    """Of sums over the chosen events: left, right: (n,), zero elsewhere. `relative`: with the share that is saved."""
    value, baseline = left.sum() / chosen.sum(), right.sum() / chosen.sum()
    saving = float(1 - value / baseline) if relative and right.sum() else None
    apart = saved = None
    if blocks is not None:
        drawn = blocks.redrawn(np.column_stack([left, right, chosen]).astype(float))
        some = drawn[drawn[:, 1] > 0]
        apart = ends((drawn[:, 0] - drawn[:, 1]) / drawn[:, 2], blocks.held)
        saved = None if saving is None else ends(1 - some[:, 0] / some[:, 1], blocks.held)
    return Difference(float(value), float(baseline), float(value - baseline), apart, saving, saved)

"""Compares the best predictor with the best baseline that has no more inputs, event by event where events were kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING

from harness.report.chance import BELOW, NO_BETTER
from harness.report.interval_basis import IntervalBasis
from harness.report.model_scores import ScoreEstimate
from harness.report.seed_groups import SeedGroup, chosen_on_validation, has_fewer_inputs, ranking_key
from harness.visible import visible

if TYPE_CHECKING:
    from model.scoring.compare import Comparison


@dataclass(frozen=True)
class PairedComparison:
    """Two predictors on the same events, one `Comparison` per part and score; `missing` says why there is none."""

    best: SeedGroup
    baseline: SeedGroup
    split: str
    comparisons: tuple[Comparison, ...] = ()
    missing: str = ""

    def of(self, part: str, score: str) -> Comparison | None:
        """Return the comparison of one score on one part, or None where the two were not compared."""
        return next((known for known in self.comparisons if (known.part, known.score) == (part, score)), None)

    @property
    def basis(self) -> IntervalBasis:
        """What the intervals of the differences are about."""
        return IntervalBasis(
            min((known.interval_trials for known in self.comparisons), default=1), self.best.basis.scored
        )

    @property
    def top1(self) -> Comparison | None:
        """Top-1 accuracy on `split`."""
        return self.of(self.split, "top1")

    @property
    def bits(self) -> Comparison | None:
        """Bits per switch on `split`."""
        return self.of(self.split, "bits_per_switch")

    @property
    def parts(self) -> list[str]:
        """The parts that were compared, each once."""
        return list(dict.fromkeys(comparison.part for comparison in self.comparisons))


def compare_pair(best: SeedGroup, baseline: SeedGroup, split: str) -> PairedComparison:
    """Compare every seed of `best` with the mean of the baseline's seeds, on the events that both were scored on.

    Older versions did not keep the outcome of each event; `missing` then says so.
    """
    from model.errors import PredictionError
    from model.scoring.compare import compare

    try:
        comparisons = compare([seed.path for seed in best.seeds], [seed.path for seed in baseline.seeds])
    except PredictionError as error:
        return PairedComparison(best, baseline, split, missing=visible(error))
    return PairedComparison(best, baseline, split, tuple(comparisons))


@dataclass(frozen=True)
class BaselineComparison:
    """The best predictor of one mark, arm and inputs against the best baseline with the same or fewer inputs."""

    mark: str
    arm: str
    inputs: str
    best: SeedGroup
    baseline: SeedGroup | None
    split: str  # contested, or overall where no switch was contested
    chance: float | None
    has_non_baseline: bool  # whether a predictor that is no baseline was scored
    chosen_on_validation: bool  # or else by the score on the test part, which is the one shown

    @cached_property
    def paired(self) -> PairedComparison | None:
        """Both on the same events; None where there are not two predictors to compare."""
        if self.best.baseline or self.baseline is None:
            return None
        return compare_pair(self.best, self.baseline, self.split)

    @property
    def outcome(self) -> str:
        """One of six words: is the best predictor better than the baseline?

        `baseline`: the best is itself a baseline. `untried`: only baselines were scored. `alone`: no baseline was
        scored. Else `better`, `worse` or `unclear`: by the interval of the difference on the same events or, where the
        events were not kept, by whether the intervals of the two scores overlap.
        """
        if self.best.baseline:
            return "baseline" if self.has_non_baseline else "untried"
        best, baseline = self.score_of(self.best), self.baseline and self.score_of(self.baseline)
        if not best or not baseline:
            return "alone"
        if self.paired and self.paired.top1:
            return self.paired.top1.outcome
        if best.low is None or baseline.high is None:  # too few events for an interval, and so for a claim
            return "unclear"
        return "better" if best.low > baseline.high else "unclear"

    @property
    def baseline_has_fewer_inputs(self) -> bool:
        """Whether part of the difference comes from inputs that the baseline does not have."""
        return self.baseline is not None and self.baseline.inputs != self.inputs

    @property
    def below_or_at_chance(self) -> str:
        """`below chance` or `no better than chance`; empty where the best predictor beats chance."""
        against = self.best.against_chance if self.chance is not None else ""
        return against if against in (BELOW, NO_BETTER) else ""

    @property
    def trials_differ(self) -> bool | None:
        """Whether the best predictor's trials differ by more than their own noise; None where that is unknown."""
        from model.scoring.trial_spread import BlockMean, differ

        return differ(
            [
                BlockMean(_mean([seed.top1 for seed in seeds]), _mean([seed.error for seed in seeds]), seeds[0].blocks)
                for seeds in self.best.trial_scores(self.split).values()
            ]
        )

    def score_of(self, group: SeedGroup) -> ScoreEstimate | None:
        """Return the top-1 score that is compared."""
        return group.score(self.split, "top1")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def compare_to_baselines(groups: list[SeedGroup]) -> list[BaselineComparison]:
    """Return one comparison for each mark, arm and inputs that were scored, in the order of `groups`."""
    keys = dict.fromkeys((group.mark, group.arm, group.inputs) for group in groups)
    rank, on_validation = ranking_key(groups), chosen_on_validation(groups)
    comparisons = []
    for mark, arm, inputs in keys:
        rivals = [group for group in groups if (group.mark, group.arm, group.inputs) == (mark, arm, inputs)]
        best = max(rivals, key=rank)
        split, baseline = best.judged_split, _best_baseline(groups, best)
        chance = best.mean(lambda seed: seed.chance) if split == "contested" else None
        has_non_baseline = not all(rival.baseline for rival in rivals)
        comparisons.append(
            BaselineComparison(mark, arm, inputs, best, baseline, split, chance, has_non_baseline, on_validation)
        )
    return comparisons


def _best_baseline(groups: list[SeedGroup], best: SeedGroup) -> SeedGroup | None:
    """The best baseline of the same mark, arm and inputs; if there is none, the best with fewer inputs."""
    same = [g for g in groups if g.baseline and (g.mark, g.arm) == (best.mark, best.arm) and g is not best]
    less = [g for g in same if has_fewer_inputs(g.inputs, best.inputs)]
    return max([g for g in same if g.inputs == best.inputs] or less, key=ranking_key(groups), default=None)


def headline(comparisons: list[BaselineComparison]) -> BaselineComparison | None:
    """Return the comparison that the page opens with: the one of the highest score.

    One about contested switches goes before one about all switches, which is an easier question. If scores are equal,
    the first wins, which has the fewest inputs.
    """
    rank = ranking_key([comparison.best for comparison in comparisons])
    return max(comparisons, key=lambda each: (each.split == "contested", rank(each.best)), default=None)


def headline_of_each_arm(comparisons: list[BaselineComparison]) -> list[BaselineComparison]:
    """Return, for each arm, the comparison that the page would open with if it were the only arm."""
    arms = dict.fromkeys(comparison.arm for comparison in comparisons)
    headlines = [headline([each for each in comparisons if each.arm == arm]) for arm in arms]
    return [each for each in headlines if each is not None]

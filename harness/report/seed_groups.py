"""The seeds of one predictor as one group, and the score by which the best predictor is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from harness.recorded_clock import RecordedClock
from harness.report.chance import against_chance
from harness.report.interval_basis import IntervalBasis
from harness.report.model_scores import INPUTS, METRICS, SPLITS, ModelScores, ScoreEstimate, TrialScore


@dataclass(frozen=True)
class SeedGroup:
    """One predictor over all its seeds: mean scores, with intervals that hold the interval of every seed."""

    predictor: str
    inputs: str
    mark: str
    arm: str
    baseline: bool
    seeds: tuple[ModelScores, ...]
    splits: dict[str, dict[str, ScoreEstimate]]

    @property
    def clock(self) -> RecordedClock:
        """The clock of the recordings, the same for all seeds."""
        return self.seeds[0].clock

    def score(self, split: str, metric: str) -> ScoreEstimate | None:
        """Return the score over the seeds, or None where there is none."""
        return self.splits.get(split, {}).get(metric)

    def by_trial(self, split: str) -> dict[str, float]:
        """Return top-1 in each trial, the mean over the seeds; trials that a seed has no score of are left out."""
        return {trial: fmean(score.top1 for score in seeds) for trial, seeds in self.trial_scores(split).items()}

    def trial_scores(self, split: str) -> dict[str, list[TrialScore]]:
        """Return, by trial, the score of each seed; trials that a seed has no score of are left out."""
        known = [seed.by_trial.get(split, {}) for seed in self.seeds]
        return {
            trial: [scores[trial] for scores in known] for trial in known[0] if all(trial in scores for scores in known)
        }

    @property
    def basis(self) -> IntervalBasis:
        """What the intervals of its scores are about."""
        return IntervalBasis(min(seed.interval_trials for seed in self.seeds), len(self.by_trial("overall")))

    @property
    def against_chance(self) -> str:
        """Whether it beats chance at contested switches, in the words of `chance`; empty where that is unknown."""
        return against_chance(self.score("contested", "above_chance"))

    def mean(self, value: Callable[[ModelScores], float | None]) -> float | None:
        """Return the mean of a value over the seeds that have it."""
        known = [number for seed in self.seeds if (number := value(seed)) is not None]
        return fmean(known) if known else None

    @property
    def judged_split(self) -> str:
        """The split that predictors are ranked by: contested switches, or all where none is contested."""
        return "contested" if self.score("contested", "top1") else "overall"

    @property
    def test_score(self) -> float:
        """Top-1 on the test part."""
        score = self.score(self.judged_split, "top1")
        return score.value if score else -1.0

    @property
    def valid_score(self) -> float | None:
        """Top-1 on the validation part; None where a seed was not scored there."""
        known = [seed.valid.get(self.judged_split, seed.valid.get("overall")) for seed in self.seeds]
        values = [value for value in known if value is not None]
        return fmean(values) if values and len(values) == len(known) else None


def group_seeds(models: Iterable[ModelScores], arms: dict[str, str]) -> list[SeedGroup]:
    """Group models that differ in nothing but the seed, best first within each mark, arm and inputs.

    `arms` maps the name of a trial to its arm.
    """
    by_key: dict[tuple[str, str, tuple[str, ...], str, str, str], list[ModelScores]] = {}
    for model in models:
        by_key.setdefault(model.group_key, []).append(model)
    groups = _named_by_clock([_group(seeds, arms) for seeds in by_key.values()])
    order, rank = list(INPUTS), ranking_key(groups)
    return sorted(
        groups,
        key=lambda group: (
            group.mark,
            group.arm,
            order.index(group.inputs) if group.inputs in order else len(order),
            -rank(group),
            group.predictor,
        ),
    )


def _named_by_clock(groups: list[SeedGroup]) -> list[SeedGroup]:
    """Add the clock to the name of an arm that was recorded with several: only scores of one arm are compared."""
    clocks: dict[str, set[RecordedClock]] = {}
    for group in groups:
        clocks.setdefault(group.arm, set()).add(group.clock)
    return [
        replace(group, arm=f"{group.arm}, clock {group.clock.short}") if len(clocks[group.arm]) > 1 else group
        for group in groups
    ]


def with_online(groups: Iterable[SeedGroup]) -> list[SeedGroup]:
    """Add a row of online scores after each predictor whose seeds all have them.

    For tables only: these rows are never the best, since the best is chosen by frozen scores on the validation part.
    """
    return [row for group in groups for row in (group, _online(group)) if row is not None]


def _online(group: SeedGroup) -> SeedGroup | None:
    if not all(seed.online for seed in group.seeds):
        return None
    name = f"{group.predictor}, online"
    seeds = [replace(seed, predictor=name, splits=seed.online, valid={}) for seed in group.seeds]
    return replace(group, predictor=name, seeds=tuple(seeds), splits=_means(seeds))


def _group(seeds: list[ModelScores], arms: dict[str, str]) -> SeedGroup:
    first = seeds[0]
    arms_of_trials = ", ".join(dict.fromkeys(arms.get(trial, trial) for trial in first.trials))
    arm = f"tested on {first.fold}" if first.fold else arms_of_trials
    ordered = tuple(sorted(seeds, key=lambda model: (len(model.seed), model.seed)))
    return SeedGroup(first.predictor, first.inputs, first.mark, arm, first.baseline, ordered, _means(seeds))


def _means(seeds: list[ModelScores]) -> dict[str, dict[str, ScoreEstimate]]:
    splits: dict[str, dict[str, ScoreEstimate]] = {}
    for split in SPLITS:
        for metric in METRICS:
            estimates = [seed.splits[split][metric] for seed in seeds if metric in seed.splits[split]]
            if estimates:
                splits.setdefault(split, {})[metric] = _mean(estimates)
    return splits


def _mean(estimates: list[ScoreEstimate]) -> ScoreEstimate:
    lows = [estimate.low for estimate in estimates if estimate.low is not None]
    highs = [estimate.high for estimate in estimates if estimate.high is not None]
    value = fmean(estimate.value for estimate in estimates)
    return ScoreEstimate(value, min(lows, default=None), max(highs, default=None))


def has_fewer_inputs(inputs: str, other: str) -> bool:
    """Return whether `inputs` are known to be a part of `other`."""
    order = list(INPUTS)
    return inputs in order and other in order and order.index(inputs) < order.index(other)


def chosen_on_validation(groups: Iterable[SeedGroup]) -> bool:
    """Return whether all groups were scored on the validation part, so that the best can be chosen there."""
    return all(group.valid_score is not None for group in groups)


def ranking_key(groups: Iterable[SeedGroup]) -> Callable[[SeedGroup], float]:
    """Return the sort key: top-1 on the validation part if all of `groups` have it, else on the test part.

    A predictor that is chosen by its test score looks better than it is, because luck is part of that score.
    """
    if not chosen_on_validation(list(groups)):
        return lambda group: group.test_score
    return lambda group: -1.0 if group.valid_score is None else group.valid_score

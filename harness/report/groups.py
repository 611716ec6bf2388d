"""Predictors over their seeds, and what the best is chosen by: the validation part, not the score that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from harness.report.scores import INPUTS, METRICS, SPLITS, Cell, Scored


@dataclass(frozen=True)
class Group:
    """One predictor over all its seeds: means, with intervals that hold every seed's interval."""

    predictor: str
    inputs: str
    mark: str
    arm: str
    baseline: bool
    seeds: tuple[Scored, ...]
    splits: dict[str, dict[str, Cell]]

    def cell(self, split: str, metric: str) -> Cell | None:
        """The score over the seeds, or None where there is none."""
        return self.splits.get(split, {}).get(metric)

    def by_trial(self, split: str) -> dict[str, float]:
        """Top-1 in each trial by itself, the mean over the seeds; nothing where it is not known."""
        known = [one.by_trial.get(split, {}) for one in self.seeds]
        return {trial: fmean(one[trial] for one in known) for trial in known[0] if all(trial in one for one in known)}

    def mean(self, value: Callable[[Scored], float | None]) -> float | None:
        """The mean over the seeds of something each of them may have."""
        known = [found for seed in self.seeds if (found := value(seed)) is not None]
        return fmean(known) if known else None

    @property
    def hard(self) -> str:
        """The split it is judged by: contested switches, or all where none is contested."""
        return "contested" if self.cell("contested", "top1") else "overall"

    @property
    def test_score(self) -> float:
        """Top-1 on the test part."""
        cell = self.cell(self.hard, "top1")
        return cell.value if cell else -1.0

    @property
    def valid_score(self) -> float | None:
        """Top-1 on the validation part; None where a seed was not scored there."""
        known = [one.valid.get(self.hard, one.valid.get("overall")) for one in self.seeds]
        values = [value for value in known if value is not None]
        return fmean(values) if values and len(values) == len(known) else None


def groups(scored: Iterable[Scored], arms: dict[str, str]) -> list[Group]:
    """Seeds put together, best first within each mark, arm and inputs; `arms` maps trial to arm."""
    together: dict[tuple[str, str, tuple[str, ...], str, str], list[Scored]] = {}
    for one in scored:
        together.setdefault(one.group, []).append(one)
    found = [_group(seeds, arms) for seeds in together.values()]
    order, rank = list(INPUTS), standing(found)
    return sorted(
        found,
        key=lambda group: (
            group.mark,
            group.arm,
            order.index(group.inputs) if group.inputs in order else len(order),
            -rank(group),
            group.predictor,
        ),
    )


def with_online(found: Iterable[Group]) -> list[Group]:
    """Each predictor, and after it the same one learning on while it is tested, where every seed of it can.

    For tables only: what learns on is in no contest, for the best is chosen by frozen scores of the validation part.
    """
    return [row for group in found for row in (group, _online(group)) if row is not None]


def _online(group: Group) -> Group | None:
    if not all(one.online for one in group.seeds):
        return None
    name = f"{group.predictor}, online"
    seeds = [replace(one, predictor=name, splits=one.online, valid={}) for one in group.seeds]
    return replace(group, predictor=name, seeds=tuple(seeds), splits=_means(seeds))


def _group(seeds: list[Scored], arms: dict[str, str]) -> Group:
    first = seeds[0]
    of = ", ".join(dict.fromkeys(arms.get(trial, trial) for trial in first.trials))
    arm = f"tested on {first.fold}" if first.fold else of
    ordered = tuple(sorted(seeds, key=lambda one: (len(one.seed), one.seed)))
    return Group(first.predictor, first.inputs, first.mark, arm, first.baseline, ordered, _means(seeds))


def _means(seeds: list[Scored]) -> dict[str, dict[str, Cell]]:
    splits: dict[str, dict[str, Cell]] = {}
    for split in SPLITS:
        for metric in METRICS:
            cells = [one.splits[split][metric] for one in seeds if metric in one.splits[split]]
            if cells:
                splits.setdefault(split, {})[metric] = _together(cells)
    return splits


def _together(cells: list[Cell]) -> Cell:
    lows = [cell.low for cell in cells if cell.low is not None]
    highs = [cell.high for cell in cells if cell.high is not None]
    return Cell(fmean(cell.value for cell in cells), min(lows, default=None), max(highs, default=None))


def sees_less(inputs: str, other: str) -> bool:
    """Whether a predictor with these inputs is known to see less than one with the others."""
    order = list(INPUTS)
    return inputs in order and other in order and order.index(inputs) < order.index(other)


def chosen_on_validation(found: Iterable[Group]) -> bool:
    """Whether all of them were scored on the validation part, so that the best can be chosen there."""
    return all(group.valid_score is not None for group in found)


def standing(found: Iterable[Group]) -> Callable[[Group], float]:
    """What predictors are ranked by: top-1 on the validation part where all of `found` have it, else on the test part.

    A best that is chosen by the very score that is then shown has been lucky as well as good.
    """
    if not chosen_on_validation(list(found)):
        return lambda group: group.test_score
    return lambda group: -1.0 if group.valid_score is None else group.valid_score

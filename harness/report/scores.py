"""What a models folder holds: each predictor's scores, seed by seed and over its seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.report.history import Curve, read_curves
from harness.report.text import fixed, number, percent, visible

SPLITS = ("overall", "forced", "contested")
METRICS = {  # name in scores.json -> the name of its interval there
    "top1": "top1_ci",
    "bits_per_switch": "bits_ci",
    "time_nll_nats": "time_nll_ci",
    "time_mae_us": "time_mae_ci",
}
BASELINES = ("most_frequent", "markov", "slice_markov", "ctw", "repeat", "fifo", "lifo")
REGIMES = {
    "marks": "which tasks ran before, in order",
    "slices": "also how long each ran, and in what state it stopped",
    "runqueue": "also which tasks were runnable",
}


@dataclass(frozen=True)
class Cell:
    """One score and its interval, which may be unknown."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Rollout:
    """What a predictor generated from the start of the test part on, beside what the kernel did.

    `distances` holds, for marks, pairs of marks and slice lengths, how far the two are apart and how far the real
    events are from as many beside them, which is what to expect of a perfect predictor.
    """

    real: tuple[str, ...]
    generated: tuple[str, ...]
    distances: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Scored:
    """One predictor trained with one seed; `splits[split][metric]` is a Cell, missing where it was not scored."""

    folder: str
    predictor: str
    regime: str
    mark: str
    seed: str
    trials: tuple[str, ...]
    test_events: float | None
    splits: dict[str, dict[str, Cell]]
    chance: float | None
    share_contested: float | None
    by_trial: dict[str, dict[str, float]]  # split -> trial -> top-1
    fit_seconds: float | None
    parameters: float | None
    baseline: bool
    x_label: str
    curves: tuple[Curve, ...]
    rollout: Rollout | None

    @property
    def group(self) -> tuple[str, str, tuple[str, ...], str]:
        """What its seeds have in common."""
        return (self.mark, self.regime, self.trials, self.predictor)


@dataclass(frozen=True)
class Group:
    """One predictor over all its seeds: means, with intervals that hold every seed's interval."""

    predictor: str
    regime: str
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


def read_models(folder: Path) -> tuple[list[Scored], list[str]]:
    """Every scored model under `folder`, and a sentence for each that cannot be read."""
    scored, problems = [], []
    for path in sorted(folder.glob("*/")) if folder.is_dir() else []:
        try:
            scored.append(_read(path))
        except FileNotFoundError:
            problems.append(f"{visible(path.name)} has no scores.json: it was not trained to the end.")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            problems.append(f"{visible(path.name)} cannot be read: {visible(error)}")
    return scored, problems


def _read(path: Path) -> Scored:
    scores: dict[str, Any] = json.loads((path / "scores.json").read_text("utf-8"))
    contested = scores.get("contested") or {}
    predictor = visible(scores["predictor"])
    x_label, curves = read_curves(path / "history.parquet")
    return Scored(
        folder=visible(path.name),
        predictor=predictor,
        regime=visible(scores.get("regime", "not stated")),
        mark=visible(scores.get("mark", "not stated")),
        seed=visible(scores.get("seed", "–")),  # noqa: RUF001
        trials=tuple(Path(str(trial)).name for trial in scores.get("trials", ())),
        test_events=number(scores.get("test_events")),
        splits={split: _cells(scores.get(split) or {}) for split in SPLITS},
        chance=number(contested.get("chance_top1")),
        share_contested=number(scores.get("share_contested")),
        by_trial=_by_trial(scores.get("by_trial") or {}),
        fit_seconds=number(scores.get("fit_seconds")),
        parameters=number(scores.get("parameters")),
        baseline=bool(scores.get("baseline", predictor.startswith(BASELINES))),
        x_label=x_label,
        curves=curves,
        rollout=_rollout(scores.get("rollout")),
    )


def _by_trial(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    names = {"overall": "top1", "contested": "contested_top1"}
    return {
        split: {visible(trial): value for trial, row in found.items() if (value := number(row.get(name))) is not None}
        for split, name in names.items()
    }


def _cells(split: dict[str, Any]) -> dict[str, Cell]:
    found = {}
    for metric, interval in METRICS.items():
        value = number(split.get(metric))
        if value is not None:
            ends = split.get(interval) or (None, None)
            found[metric] = Cell(value, number(ends[0]), number(ends[1]))
    return found


def _rollout(found: Any) -> Rollout | None:
    """The rollout of scores.json: `real_marks` and `marks` index `names`."""
    if not isinstance(found, dict) or not found.get("marks"):
        return None
    names = [visible(name) for name in found["names"]]
    distances = tuple(
        (kind, apart, real)
        for kind in ("mark", "pair", "slice")
        if (apart := number(found.get(f"{kind}_distance"))) is not None
        and (real := number(found.get(f"real_{kind}_distance"))) is not None
    )
    real_marks, marks = found["real_marks"], found["marks"]
    return Rollout(tuple(names[mark] for mark in real_marks), tuple(names[mark] for mark in marks), distances)


def groups(scored: Iterable[Scored], arms: dict[str, str]) -> list[Group]:
    """Seeds put together, best first within each mark, arm and regime; `arms` maps trial to arm."""
    together: dict[tuple[str, str, tuple[str, ...], str], list[Scored]] = {}
    for one in scored:
        together.setdefault(one.group, []).append(one)
    found = [_group(seeds, arms) for seeds in together.values()]
    order = list(REGIMES)
    return sorted(
        found,
        key=lambda group: (
            group.mark,
            group.arm,
            order.index(group.regime) if group.regime in order else len(order),
            -standing(group),
            group.predictor,
        ),
    )


def _group(seeds: list[Scored], arms: dict[str, str]) -> Group:
    first = seeds[0]
    splits: dict[str, dict[str, Cell]] = {}
    for split in SPLITS:
        for metric in METRICS:
            cells = [one.splits[split][metric] for one in seeds if metric in one.splits[split]]
            if cells:
                splits.setdefault(split, {})[metric] = _together(cells)
    arm = ", ".join(dict.fromkeys(arms.get(trial, trial) for trial in first.trials))
    ordered = tuple(sorted(seeds, key=lambda one: (len(one.seed), one.seed)))
    return Group(first.predictor, first.regime, first.mark, arm, first.baseline, ordered, splits)


def _together(cells: list[Cell]) -> Cell:
    lows = [cell.low for cell in cells if cell.low is not None]
    highs = [cell.high for cell in cells if cell.high is not None]
    return Cell(fmean(cell.value for cell in cells), min(lows, default=None), max(highs, default=None))


def sees_less(regime: str, other: str) -> bool:
    """Whether one regime is known to see less than another."""
    order = list(REGIMES)
    return regime in order and other in order and order.index(regime) < order.index(other)


def standing(group: Group) -> float:
    """What predictors are ranked by: top-1 on contested switches, or on all where none is contested."""
    cell = group.cell("contested", "top1") or group.cell("overall", "top1")
    return cell.value if cell else -1.0


def ranking(run_dir: Path) -> list[tuple[str, ...]]:
    """The scores of a run folder for a terminal, best first within each mark, arm and regime.

    Seven texts a row: predictor, what it sees, top-1 and chance at contested switches, then over all switches top-1,
    bits per switch, and the mean absolute error of the time in microseconds.
    """
    scored, _ = read_models(run_dir / "models")
    return [_row(group) for group in groups(scored, {})]


def _row(group: Group) -> tuple[str, ...]:
    contested, overall = group.cell("contested", "top1"), group.cell("overall", "top1")
    bits, error = group.cell("overall", "bits_per_switch"), group.cell("overall", "time_mae_us")
    return (
        group.predictor,
        group.regime,
        percent(contested.value if contested else None),
        percent(group.mean(lambda one: one.chance)),
        percent(overall.value if overall else None),
        fixed(bits.value if bits else None),
        fixed(error.value if error else None, 1),
    )

"""What a models folder holds: each predictor's scores, seed by seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report.history import Curve, read_curves
from harness.report.text import number, visible

SPLITS = ("overall", "forced", "contested", "open")
METRICS = {  # name in scores.json -> the name of its interval there
    "top1": "top1_ci",
    "top3": "top3_ci",
    "macro_recall": "macro_recall_ci",
    "bits_per_switch": "bits_ci",
    "calibration_error": "calibration_error_ci",
    "time_nll_nats": "time_nll_ci",
    "time_mae_us": "time_mae_ci",
    "time_crps_us": "time_crps_us_ci",
    "time_calibration_error": "time_calibration_error_ci",
    "joint_nats": "joint_nats_ci",
}
BASELINES = ("most_frequent", "markov", "slice_markov", "ctw", "repeat", "fifo", "lifo")
INPUTS = {
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
    inputs: str
    mark: str
    seed: str
    trials: tuple[str, ...]
    test_events: float | None
    splits: dict[str, dict[str, Cell]]
    online: dict[str, dict[str, Cell]]  # the same of the predictor learning on as it is tested; empty where it cannot
    events: dict[str, float]  # split -> switches of the test part
    valid: dict[str, float]  # split -> top-1 on the validation part, which predictors are chosen by
    chance: float | None
    by_trial: dict[str, dict[str, float]]  # split -> trial -> top-1
    fit_seconds: float | None
    parameters: float | None
    baseline: bool
    x_label: str
    curves: tuple[Curve, ...]
    rollout: Rollout | None
    path: Path
    caveat: str | None = None
    fold: str = ""  # what was held out, where every recording was in turn; recordings of several runs are called alike

    @property
    def group(self) -> tuple[str, str, tuple[str, ...], str, str]:
        """What its seeds have in common."""
        return (self.mark, self.inputs, self.trials, self.predictor, self.fold)


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
    predictor, seed = visible(scores["predictor"]), visible(scores.get("seed", "–"))  # noqa: RUF001
    x_label, curves = read_curves(path / "history.parquet")
    return Scored(
        folder=visible(path.name),
        predictor=predictor,
        inputs=visible(scores.get("regime", "not stated")),
        mark=visible(scores.get("mark", "not stated")),
        seed=seed,
        trials=tuple(Path(str(trial)).name for trial in scores.get("trials", ())),
        test_events=number(scores.get("test_events")),
        splits=_splits(scores),
        online=_splits(scores["online"]) if scores.get("online") else {},
        events=_numbers(scores, "events"),
        valid=_numbers(scores.get("valid") or {}, "top1"),
        chance=number(contested.get("chance_top1")),
        by_trial=_by_trial(scores.get("by_trial") or {}),
        fit_seconds=number(scores.get("fit_seconds")),
        parameters=number(scores.get("parameters")),
        baseline=bool(scores.get("baseline", predictor.startswith(BASELINES))),
        x_label=x_label,
        curves=curves,
        rollout=_rollout(scores.get("rollout")),
        path=path,
        caveat=visible(scores["caveat"]) if scores.get("caveat") else None,
        fold=visible(path.name).partition(f"{predictor}_s{seed}.")[2],
    )


def _by_trial(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    names = {"overall": "top1", "contested": "contested_top1"}
    return {
        split: {visible(trial): value for trial, row in found.items() if (value := number(row.get(name))) is not None}
        for split, name in names.items()
    }


def _numbers(found: dict[str, Any], name: str) -> dict[str, float]:
    """One number of each split, where it has it."""
    known = {split: number((found.get(split) or {}).get(name)) for split in SPLITS}
    return {split: value for split, value in known.items() if value is not None}


def _splits(scores: dict[str, Any]) -> dict[str, dict[str, Cell]]:
    return {split: _cells(scores.get(split) or {}) for split in SPLITS}


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
        for kind in ("mark", "pair", "triple", "slice")
        if (apart := number(found.get(f"{kind}_distance"))) is not None
        and (real := number(found.get(f"real_{kind}_distance"))) is not None
    )
    real_marks, marks = found["real_marks"], found["marks"]
    return Rollout(tuple(names[mark] for mark in real_marks), tuple(names[mark] for mark in marks), distances)

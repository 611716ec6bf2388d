"""Reads the scores of trained models, one `scores.json` per predictor and seed."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.files import is_changed
from harness.recorded_clock import RecordedClock
from harness.report.history import Curve, read_curves
from harness.report.text import number
from harness.store.trial_record import read_scores
from harness.visible import visible

SPLITS = ("overall", "forced", "contested", "open")
METRICS = {  # name in scores.json -> name of its interval there
    "top1": "top1_ci",
    "top3": "top3_ci",
    "macro_recall": "macro_recall_ci",
    "bits_per_switch": "bits_ci",
    "calibration_error": "calibration_error_ci",
    "time_bits": "time_bits_ci",
    "time_mae_us": "time_mae_ci",
    "time_crps_us": "time_crps_us_ci",
    "time_calibration_error": "time_calibration_error_ci",
    "joint_bits": "joint_bits_ci",
    "above_chance": "above_chance_ci",
}
IN_NATS = {"time_bits": ("time_nll_nats", "time_nll_ci"), "joint_bits": ("joint_nats", "joint_nats_ci")}  # before 0.3.0
BASELINES = ("most_frequent", "markov", "slice_markov", "ctw", "repeat", "fifo")  # for scores that do not say it
INPUTS = {
    "marks": "which tasks ran before, in order",
    "slices": "also how long each ran, and in what state it stopped",
    "runqueue": "also which tasks were runnable",
}


@dataclass(frozen=True)
class ScoreEstimate:
    """One score and its interval, which may be unknown."""

    value: float
    low: float | None = None
    high: float | None = None

    def scaled(self, factor: float = 1.0, less: float = 0.0) -> ScoreEstimate:
        """Return the score and its interval in another unit, `less` a constant."""
        ends = (None if end is None else (end - less) * factor for end in (self.low, self.high))
        return ScoreEstimate((self.value - less) * factor, *ends)


@dataclass(frozen=True)
class TrialScore:
    """Top-1 in one trial, its standard error within the trial, and over how many blocks; unknown before 0.3.0."""

    top1: float
    error: float | None = None
    blocks: int = 0


@dataclass(frozen=True)
class Rollout:
    """The marks that a predictor generated from the start of the test part on, and those of the kernel.

    `distances` holds (kind, generated from real, real from real) for single marks, pairs, triples and slice lengths.
    The last number compares the real events with as many others beside them: a perfect predictor reaches that.
    """

    real: tuple[str, ...]
    generated: tuple[str, ...]
    distances: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class ModelScores:
    """One predictor trained with one seed; a metric that was not scored is missing in `splits[split]`."""

    predictor: str
    inputs: str
    mark: str
    seed: str
    trials: tuple[str, ...]
    test_events: float | None
    splits: dict[str, dict[str, ScoreEstimate]]
    online: dict[str, dict[str, ScoreEstimate]]  # the same when it learns on during the test; empty where it cannot
    events: dict[str, float]  # split -> switches in the test part
    valid: dict[str, float]  # split -> top-1 on the validation part, by which the best is chosen
    chance: float | None
    by_trial: dict[str, dict[str, TrialScore]]  # split -> trial -> top-1
    fit_seconds: float | None
    parameters: float | None
    baseline: bool
    x_label: str
    curves: tuple[Curve, ...]
    rollout: Rollout | None
    path: Path
    interval_trials: int = 1  # number of trials that the intervals are over; 1: within the recordings
    caveat: str | None = None
    clock: RecordedClock = field(default_factory=RecordedClock)  # of the recordings that it was trained with
    fold: str = ""  # what was held out, where each recording was in turn; recordings of two runs may share a name

    @property
    def group_key(self) -> tuple[str, str, tuple[str, ...], str, str, str]:
        """Equal for models that differ in nothing but the seed."""
        return (self.mark, self.inputs, self.trials, self.predictor, self.fold, self.clock.short)


def read_models(
    folder: Path, left_out: Collection[str] = (), *, curves: bool = True
) -> tuple[list[ModelScores], list[str]]:
    """Read every scored model under `folder` whose name is not in `left_out`, with or without its training curves.

    Return them, and one sentence for each that cannot be read.
    """
    models, problems = [], []
    for path in sorted(folder.glob("*/")) if folder.is_dir() else []:
        if path.name in left_out:
            continue
        try:
            models.append(_read(path, curves))
        except FileNotFoundError:
            problems.append(f"{visible(path.name)} has no scores.json: it was not trained to the end.")
        except StoreError as error:
            problems.append(f"{visible(path.name)} cannot be read: {visible(error.what)}")
        except (OSError, ValueError, KeyError) as error:  # history.parquet: pyarrow's own errors derive from them
            problems.append(f"{visible(path.name)} cannot be read: {visible(error)}")
    return models, problems


def _read(path: Path, with_curves: bool) -> ModelScores:
    if not os.path.lexists(path / "scores.json"):
        raise FileNotFoundError
    scores = read_scores(path)
    if is_changed(scores):
        raise StoreError("scores.json is not as it was written, as its SHA-256 differs", hint="train it again")
    contested = scores.get("contested") or {}
    predictor, seed = visible(scores["predictor"]), visible(scores.get("seed", "–"))  # noqa: RUF001
    x_label, curves = read_curves(path / "history.parquet") if with_curves else ("", ())
    return ModelScores(
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
        interval_trials=round(number(scores.get("interval_trials")) or 1),
        caveat=visible(scores["caveat"]) if scores.get("caveat") else None,
        clock=RecordedClock.of(scores),
        fold=visible(path.name).partition(f"{predictor}_s{seed}.")[2],
    )


def _by_trial(trials: dict[str, Any]) -> dict[str, dict[str, TrialScore]]:
    names = {"overall": ("top1", "blocks"), "contested": ("contested_top1", "contested_blocks")}
    return {
        split: {
            visible(trial): TrialScore(value, number(row.get(f"{name}_se")), round(number(row.get(blocks)) or 0))
            for trial, row in trials.items()
            if (value := number(row.get(name))) is not None
        }
        for split, (name, blocks) in names.items()
    }


def _numbers(scores: dict[str, Any], name: str) -> dict[str, float]:
    """One number from each split that has it."""
    known = {split: number((scores.get(split) or {}).get(name)) for split in SPLITS}
    return {split: value for split, value in known.items() if value is not None}


def _splits(scores: dict[str, Any]) -> dict[str, dict[str, ScoreEstimate]]:
    return {split: _estimates(scores.get(split) or {}) for split in SPLITS}


def _estimates(split: dict[str, Any]) -> dict[str, ScoreEstimate]:
    known = {metric: _estimate(split, metric, interval) for metric, interval in METRICS.items()}
    for metric, names in IN_NATS.items():
        if known[metric] is None and (nats := _estimate(split, *names)):
            known[metric] = nats.scaled(1 / math.log(2))
    chance, top1 = number(split.get("chance_top1")), known["top1"]
    if known["above_chance"] is None and chance is not None and top1:
        known["above_chance"] = top1.scaled(less=chance)  # before 0.3.0, whose intervals took chance for exact
    return {metric: estimate for metric, estimate in known.items() if estimate}


def _estimate(split: dict[str, Any], metric: str, interval: str) -> ScoreEstimate | None:
    value = number(split.get(metric))
    if value is None:
        return None
    low, high = split.get(interval) or (None, None)
    return ScoreEstimate(value, number(low), number(high))


def _rollout(stored: Any) -> Rollout | None:
    """The rollout of scores.json, in which `real_marks` and `marks` are indices into `names`."""
    if not isinstance(stored, dict) or not stored.get("marks"):
        return None
    names = [visible(name) for name in stored["names"]]
    distances = tuple(
        (kind, generated, real)
        for kind in ("mark", "pair", "triple", "slice")
        if (generated := number(stored.get(f"{kind}_distance"))) is not None
        and (real := number(stored.get(f"real_{kind}_distance"))) is not None
    )
    real_marks, generated_marks = (tuple(names[mark] for mark in stored[key]) for key in ("real_marks", "marks"))
    return Rollout(real_marks, generated_marks, distances)

"""The metrics of a run: for each arm, one value per usable trial, and for a predictor one per trial and seed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from harness.errors import StoreError
from harness.load_results import results
from harness.noise.odd_trials import switches_per_s
from harness.store import RunFolder
from harness.store.integrity import COMPARED
from harness.store.trial_record import HINT, read_scores, read_trial

QUANTILES = {"slice p50": 0.50, "slice p90": 0.90, "slice p99": 0.99}
SCORES = {  # metric -> its name in `by_trial` of scores.json, its unit
    "accuracy": ("top1", "share"),
    "contested accuracy": ("contested_top1", "share"),
    "bits/switch": ("bits_per_switch", "bits"),
}
LENGTHS = pa.schema([pa.field("slice_ns", pa.int64(), nullable=False), pa.field("tid", pa.int32(), nullable=False)])


@dataclass(frozen=True)
class Unit:
    """How the values of a metric are shown, and the difference that is too small to matter.

    The margin is one percent of the value, and at least `least`, in the metric's own unit. A share shows its
    differences in points: 1 % of an idle share of 0.01 % is nothing that anyone could use.
    """

    name: str
    factor: float
    form: str
    least: float = 0.0

    def margin(self, value: float) -> float:
        """Return the largest difference from `value` that counts as equal within 1 %."""
        return max(MARGIN * abs(value), self.least)


MARGIN = 0.01
DIGITS = 7
UNITS = {
    "rate": Unit("/s", 1.0, ".1f"),
    "us": Unit("us", 1e-3, ".1f"),
    "ms": Unit("ms", 1.0, ".3f"),
    "share": Unit("%", 100.0, ".2f", least=0.001),
    "bits": Unit("bits", 1.0, ".3f", least=0.01),
}


@dataclass(frozen=True)
class Measurement:
    """One metric of one arm of a run; `values` is (trials, seeds), with one seed for what no seed changes.

    `scored`: it is the score of a predictor, and not a metric of the recording itself.
    """

    arm: str
    metric: str
    unit: str
    values: np.ndarray
    scored: bool = False

    @property
    def mean(self) -> float:
        """The mean over all trials and seeds."""
        return float(self.values.mean())


def last_digit(first: Measurement, second: Measurement) -> float:
    """Return the unit of the last digit of latencies, which programs round: ab to 1 ms; 0 for every other metric."""
    return step_of(np.concatenate([first.values, second.values], axis=None)) if first.unit == "ms" else 0.0


def step_of(values: np.ndarray) -> float:
    """Return the unit of the last digit of rounded values, 1 or less; 0 where they are not rounded."""
    return float(next((10.0**-n for n in range(DIGITS) if np.allclose(values, values.round(n), rtol=0, atol=1e-9)), 0))


Key = tuple[str, str]  # arm, metric


def measure(run: RunFolder) -> dict[Key, Measurement]:
    """Measure every arm of a run, from its usable trials and its scored models.

    A metric that one of an arm's trials lacks is left out. Raises StoreError for a file that is damaged or is not the
    one that the manifest lists, and when no trial may be used.
    """
    trials = usable_trials(run)
    if not any(trials.values()):
        hint = "`harness show` says why; `harness run --resume` goes on with an unfinished run"
        raise StoreError("none of its trials may be used", where=str(run.path), hint=hint)
    _require_unchanged(run)
    measured = [item for arm, names in trials.items() for item in _recordings(run, arm, names)]
    measured += _predictors(run, trials)
    return {(item.arm, item.metric): item for item in measured}


def usable_trials(run: RunFolder) -> dict[str, list[str]]:
    """Return the names of the usable trials of each arm, in recording order."""
    trials: dict[str, list[str]] = {}
    for name, step in sorted(run.manifest["steps"].items()):
        if name.startswith("trial:") and step["state"] == "done":
            trials.setdefault(_arm(step), []).append(name.removeprefix("trial:"))
    return trials


def _require_unchanged(run: RunFolder) -> None:
    """Raise StoreError if a file that is read below is not as the run wrote it; `facts` names a changed manifest."""
    for problem in run.check_files(COMPARED).of_files:
        what = f"it is not the file that the run wrote: {problem.kind} ({problem.detail})"
        raise _damaged(run.path / problem.path, what)


def _recordings(run: RunFolder, arm: str, names: list[str]) -> Iterator[Measurement]:
    trials = [read_trial(run.trial_dir(name)) for name in names]
    rows = [_recording(run, trial, name) for trial, name in zip(trials, names, strict=True)]
    units = {result.name: "rate" if result.is_rate else "ms" for result in results(*trials)}
    units |= {"switches/s": "rate", **dict.fromkeys(QUANTILES, "us")}
    for metric in rows[0]:
        values = [row.get(metric) for row in rows]
        if all(value is not None for value in values):
            yield Measurement(arm, metric, units.get(metric, "share"), np.array(values, float)[:, None])


def _recording(run: RunFolder, trial: Mapping[str, Any], name: str) -> dict[str, float | None]:
    of_load = {result.name: result.mean for result in results(trial)}
    if trial.get("tracer") == "none":
        return dict(of_load)
    return {
        **of_load,
        "switches/s": switches_per_s(trial),
        "contested share": trial.get("contested_share"),
        **_slice_quantiles(run.trial_dir(name) / "slices.parquet"),
        "idle share": trial.get("idle_share"),
        "tracer share": trial.get("tracer_share"),
    }


def _slice_quantiles(path: Path) -> dict[str, float | None]:
    """Return quantiles of the slice lengths in ns, without those of the idle task. Raises StoreError."""
    if not path.is_file():
        raise _damaged(path, "it is missing, or no regular file")
    try:
        with pa.OSFile(os.fsencode(path)) as source:  # its name may be no UTF-8
            table = parquet.read_table(source, columns=list(LENGTHS.names), page_checksum_verification=True)
        table = table.cast(LENGTHS)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from None
    lengths = table["slice_ns"].filter(pc.not_equal(table["tid"], 0)).to_numpy()
    if not len(lengths):
        return dict.fromkeys(QUANTILES)
    return dict(zip(QUANTILES, map(float, np.quantile(lengths, list(QUANTILES.values()))), strict=True))


def _predictors(run: RunFolder, trials: Mapping[str, list[str]]) -> Iterator[Measurement]:
    """Yield the scores of each predictor in each trial, with a column for each seed."""
    models: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, step in sorted(run.manifest["steps"].items()):
        if name.startswith("model:") and step["state"] == "done":
            scores = read_scores(run.path / "models" / name.removeprefix("model:"))
            models.setdefault((_arm(step), scores["predictor"]), []).append(scores.get("by_trial") or {})
    for (arm, predictor), seeds in models.items():
        for metric, (score, unit) in SCORES.items():
            values = [[seed.get(trial, {}).get(score) for seed in seeds] for trial in trials.get(arm, ())]
            if values and all(value is not None for row in values for value in row):
                yield Measurement(arm, f"{predictor}: {metric}", unit, np.array(values, float), scored=True)


def _arm(step: Mapping[str, Any]) -> str:
    return str(step["detail"].get("arm", ""))


def _damaged(path: Path, error: object) -> StoreError:
    return StoreError(f"{path.name} cannot be read: {error}", where=str(path), hint=HINT)

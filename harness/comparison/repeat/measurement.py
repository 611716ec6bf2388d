"""The metrics of a run: for each arm, one value per usable trial, and for a predictor one per trial and seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.comparison.measured.metrics import is_of_load, unit_of
from harness.comparison.measured.observation import QUANTILES, Observation, observe
from harness.comparison.measured.units import UnitName, step_of
from harness.store import RunFolder

RECORDED = ("switches/s", "contested share", *QUANTILES, "idle share", "tracer share")


@dataclass(frozen=True)
class Measurement:
    """One metric of one arm of a run; `values` is (trials, seeds), with one seed for what no seed changes.

    `scored`: it is the score of a predictor, and not a metric of the recording itself.
    """

    arm: str
    metric: str
    unit: UnitName
    values: np.ndarray
    scored: bool = False

    @property
    def mean(self) -> float:
        """The mean over all trials and seeds."""
        return float(self.values.mean())


def last_digit(first: Measurement, second: Measurement) -> float:
    """Return the unit of the last digit of latencies, which programs round: ab to 1 ms; 0 for every other metric."""
    return step_of(np.concatenate([first.values, second.values], axis=None)) if first.unit == "ms" else 0.0


Key = tuple[str, str]  # arm, metric


def measure(run: RunFolder) -> dict[Key, Measurement]:
    """Measure every arm of a run, from its usable trials and its scored models.

    A metric that one of an arm's trials lacks is left out. Raises StoreError as `observe` does.
    """
    arms: dict[str, list[Observation]] = {}
    for one in observe(run):
        arms.setdefault(one.arm, []).append(one)
    measured = [item for trials in arms.values() for item in _recorded(trials)]
    measured += [item for arm in sorted(arms) for item in _scored(arms[arm])]
    return {(item.arm, item.metric): item for item in measured}


def _recorded(trials: Sequence[Observation]) -> Iterator[Measurement]:
    """Yield the metrics of the recordings of an arm: those of its load, then those of its traces."""
    names = [*filter(is_of_load, trials[0].values), *RECORDED]
    for name in names:
        if all(name in one.values for one in trials):
            values = np.array([[one.values[name]] for one in trials])
            yield Measurement(trials[0].arm, name, unit_of(name), values)


def _scored(trials: Sequence[Observation]) -> Iterator[Measurement]:
    """Yield the scores of each predictor in the trials of an arm, with a column for each seed."""
    for name in trials[0].scores:
        rows = [one.scores[name] for one in trials]
        if all(score is not None for row in rows for score in row):
            yield Measurement(trials[0].arm, name, unit_of(name), np.array(rows, float), scored=True)

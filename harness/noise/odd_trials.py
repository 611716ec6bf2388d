"""Which trials of an arm differ from its others by more than noise, and how far the trials of an arm lie apart.

The trials of an arm repeat one treatment. A busy host, a paused machine or a broken load makes one of them differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from harness.load_results import results
from harness.recorded_clock import RecordedClock

MIN_TRIALS = 3  # two others are the fewest that have a standard deviation
NOISE_FACTOR = 2.5
MIN_DIFFERENCE = 0.05
SPREAD_RATIO = 1.1
Record = Mapping[str, Any]


@dataclass(frozen=True)
class OddTrial:
    """A trial that differs from the others of its arm, and the metric, such as `requests/s`, in which it does."""

    arm: str
    trial: str
    metric: str
    value: float
    others_mean: float
    others_sd: float

    @property
    def text(self) -> str:
        """Return the difference in one line."""
        value, mean, sd = short(self.value), short(self.others_mean), short(self.others_sd)
        return f"{self.trial}: {value} {self.metric}, the other trials of {self.arm} {mean} (standard deviation {sd})"


@dataclass(frozen=True)
class Spread:
    """The smallest and the largest value of a metric across the trials of an arm, where they lie far apart."""

    arm: str
    metric: str
    low: float
    high: float

    @property
    def text(self) -> str:
        """Return the spread in one line."""
        return f"{self.metric} from {short(self.low)} to {short(self.high)} across the trials of {self.arm}"


def odd_trials(trials: Sequence[Record]) -> list[OddTrial]:
    """Return the trials that differ from their arm's others, in the order of `trials`.

    `trials` are contents of trial.json, of one run; leave out those that may not be used. Recordings of different
    clocks are never compared. A trial is odd in a metric (a rate of the load, switches/s, contested share) if its
    distance from the mean of the others is more than 2.5 times their noise and more than 5 % of that mean. Their noise
    is the larger of their standard deviation and of their mean noise within a trial (`noise` of trial.json, absent
    before 0.3, and never of a load's rate).

    This is a hint, not a test: docs/noise.md has how often it marks a trial where none is odd.
    """
    return [odd for arm, group in _arms(trials).items() for odd in _odd_ones(arm, group)]


def spreads(trials: Sequence[Record]) -> list[Spread]:
    """Return, by arm, each rate whose largest value is more than 1.1 times its smallest (two trials are enough)."""
    wide = []
    for arm, group in _arms(trials).items():
        for metric in (metric for metric in _metrics(group) if metric.endswith("/s")):
            values = [value for trial in group if (value := compared(trial).get(metric)) is not None]
            if len(values) > 1 and max(values) > SPREAD_RATIO * min(values):
                wide.append(Spread(arm, metric, min(values), max(values)))
    return wide


def switches_per_s(trial: Record) -> float | None:
    """Return the switches a second between the first and the last event of the recording; None without one."""
    span_ns = (trial.get("quality") or {}).get("span_ns")
    switches = trial.get("switches")
    return switches / (span_ns / 1e9) if span_ns and switches is not None else None


def compared(trial: Record) -> dict[str, float | None]:
    """Return the values of a trial that are compared with those of others, by metric, such as `requests/s`."""
    rates = {result.name: result.mean for result in results(trial) if result.is_rate}
    return {**rates, "switches/s": switches_per_s(trial), "contested share": trial.get("contested_share")}


def _metrics(trials: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(metric for trial in trials for metric in compared(trial)))


NOISE_KEYS = {"switches/s": "switches_per_s", "contested share": "contested_share"}  # a recording shows no requests


def short(value: float) -> str:
    """Return a number with three digits, or all of its digits before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _arms(trials: Sequence[Record]) -> dict[str, list[Record]]:
    """Group the trials by arm; an arm that was recorded with several clocks is split and named after each."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for trial in trials:
        groups.setdefault((str(trial.get("arm", "")), RecordedClock.of(trial.get("machine") or {}).short), []).append(
            trial
        )
    arms = [arm for arm, _ in groups]
    return {arm if arms.count(arm) == 1 else f"{arm} ({clock} clock)": group for (arm, clock), group in groups.items()}


def _odd_ones(arm: str, group: Sequence[Record]) -> Iterator[OddTrial]:
    for index, trial in enumerate(group):
        for metric, value in compared(trial).items():
            known = {i: float(v) for i, other in enumerate(group) if (v := compared(other).get(metric)) is not None}
            others = [other for i, other in enumerate(group) if i != index and i in known]
            if value is None or len(others) + 1 < MIN_TRIALS:
                continue
            values = [known[i] for i in known if i != index]
            mean, sd = fmean(values), stdev(values)
            distance, noise = abs(value - mean), max(sd, _noise_within(others, metric))
            if distance > NOISE_FACTOR * noise and distance > MIN_DIFFERENCE * abs(mean):
                yield OddTrial(arm, str(trial.get("name", "")), metric, float(value), mean, sd)


def _noise_within(trials: Sequence[Record], metric: str) -> float:
    """Return the root mean square of the trials' own standard errors; 0 where none has one."""
    errors = [(trial.get("noise") or {}).get(NOISE_KEYS.get(metric)) for trial in trials]
    squares = [error**2 for error in errors if error is not None]
    return math.sqrt(fmean(squares)) if squares else 0.0

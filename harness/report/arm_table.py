"""The arms of a run side by side: what the load of each got and what the scheduler did, over its usable trials."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from harness.load_results import LoadResult, latency_kinds, results
from harness.report import text
from harness.report.baseline_comparison import BaselineComparison, headline_of_each_arm
from harness.report.recording_summary import RecordingSummary
from harness.report.trial_facts import TrialFacts

RATE, BEST = "rate of the load", "best predictor"
BY_KERNEL = "switches per second, as the kernel counted"  # with a tracer and without
SCHEDULER: dict[str, tuple[str, Callable[[RecordingSummary], float | None], Callable[[float], str]]] = {
    "switches per second": ("", lambda rec: rec.switches / rec.span_s if rec.span_s else None, text.count),
    "contested": ("", lambda rec: rec.contested_share, text.percent),
    "wakeup latency, median": (" (ns)", lambda rec: rec.latency.p50 if rec.latency else None, text.duration),
    "wakeup latency, p99": (" (ns)", lambda rec: rec.latency.p99 if rec.latency else None, text.duration),
}


class Figure(NamedTuple):
    """The mean over the trials of an arm as it is shown, their range if they differ, and the mean itself."""

    shown: str
    spread: str
    mean: float


@dataclass(frozen=True)
class ArmRow:
    """One arm; `cells` has for each of its columns a figure, or of a mix one for each part."""

    arm: str
    trials: int
    load: list[LoadResult]
    cells: dict[str, list[Figure]]
    exact: dict[str, Any]


@dataclass(frozen=True)
class ArmTable:
    """A row for each arm that has a usable trial, and the columns that any of them has a value of."""

    columns: list[str]
    rows: list[ArmRow]

    @property
    def csv(self) -> str:
        """Return, as JSON, a head and a row for each arm, with exact values."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.exact))
        rows = ([row.arm, row.trials, *map(row.exact.get, names)] for row in self.rows)
        return json.dumps([["arm", "trials", *names], *rows])

    def load_of(self, arm: str) -> str:
        """Return in words what the load of an arm got; empty where it gave no rate and no latency."""
        return next((in_words(row.load) for row in self.rows if row.arm == arm), "")


def arm_table(trials: Sequence[TrialFacts], comparisons: list[BaselineComparison]) -> ArmTable:
    """Make the table of a run, its arms in the order in which they were recorded first."""
    best = {comparison.arm: comparison for comparison in headline_of_each_arm(comparisons)}
    usable = [trial for trial in trials if trial.ok is True]
    arms = dict.fromkeys(trial.arm for trial in usable)
    rows = [_row(arm, [trial for trial in usable if trial.arm == arm], best.get(arm)) for arm in arms]
    latencies = [f"load’s {kind}" for kind in latency_kinds(row.load for row in rows)]  # noqa: RUF001
    known = (RATE, *latencies, *((BY_KERNEL,) if any(trial.untraced for trial in usable) else ()), *SCHEDULER, BEST)
    columns = [name for name in known if any(name in row.cells for row in rows)]
    return ArmTable(columns, rows)


def in_words(load: Sequence[LoadResult]) -> str:
    """Return what a load got: `467.5 requests/s, p99 latency 31.2 ms`."""
    return ", ".join(result.text(text.plain) for result in load)


def _row(arm: str, trials: list[TrialFacts], best: BaselineComparison | None) -> ArmRow:
    row = ArmRow(arm, len(trials), results(*(trial.record for trial in trials)), {}, {})
    for result in row.load:
        figure = Figure(result.value_text(text.plain), _range(result.values, text.plain), result.mean)
        row.cells.setdefault(_column(result), []).append(figure)
        row.exact.update(_exact(f"load: {result.name}{'' if result.is_rate else ' (ms)'}", result.values))
    for name, (unit, get, spell) in SCHEDULER.items():
        known = [value for trial in trials if trial.recording and (value := get(trial.recording)) is not None]
        if known:
            row.cells[name] = [Figure(spell(fmean(known)), _range(known, spell), fmean(known))]
            row.exact.update(_exact(name + unit, known))
    counted = [rate for trial in trials if (rate := text.number(trial.record.get("guest_switches_per_s"))) is not None]
    if counted:
        row.cells[BY_KERNEL] = [Figure(text.count(fmean(counted)), _range(counted, text.count), fmean(counted))]
        row.exact.update(_exact(BY_KERNEL, counted))
    if best and (score := best.score_of(best.best)):
        row.cells[BEST] = [Figure(f"{text.percent(score.value)} {best.best.predictor}", "", score.value)]
        row.exact.update({BEST: best.best.predictor, f"{BEST}, top-1, {best.split}": score.value})
    return row


def _column(result: LoadResult) -> str:
    return RATE if result.is_rate else f"load’s {result.kind}"  # noqa: RUF001


def _range(values: Sequence[float], spell: Callable[[float], str]) -> str:
    low, high = spell(min(values)), spell(max(values))
    return f"{low} to {high}" if low != high else ""


def _exact(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: fmean(values), f"{name}, low": min(values), f"{name}, high": max(values)}

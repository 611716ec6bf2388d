"""What the load of each arm measured, over its usable trials: rows for lists, programs and data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.load_results import results
from harness.store.finished_steps import usable_trials

COLUMNS = ("arm", "load", "metric", "unit", "trials", "mean", "sd", "low", "high")


def read(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each rate and latency of each arm: its mean, standard deviation, smallest and largest value."""
    return [
        {
            "arm": arm,
            "load": kind(arm),
            "metric": result.key,
            "unit": result.unit,
            "trials": len(result.values),
            "mean": result.mean,
            "sd": result.sd,
            "low": min(result.values),
            "high": max(result.values),
        }
        for arm, trials in usable_trials(manifest).items()
        for result in results(*(step["detail"] for step in trials.values()))
    ]


def kind(arm: str) -> str:
    """Return the kind of the load that an arm, named after its load and its swept values, is recorded under."""
    return arm.partition("__")[0]

"""What the load of each arm measured, over its usable trials: rows for lists, programs and data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.load_results import Record, results

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
        for result in results(*trials)
    ]


def kind(arm: str) -> str:
    """Return the kind of the load that an arm, named after its load and its swept values, is recorded under."""
    return arm.partition("__")[0]


def usable_trials(manifest: Mapping[str, Any]) -> dict[str, list[Record]]:
    """Return what the manifest keeps of the usable trials of each arm, in recording order."""
    arms: dict[str, list[Record]] = {}
    for name, step in sorted(manifest["steps"].items()):
        if name.startswith("trial:") and step["state"] == "done":
            arms.setdefault(str(step["detail"].get("arm", "")), []).append(step["detail"])
    return arms

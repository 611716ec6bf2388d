"""The rows of the tables that are made of manifests and JSON files: plain values by the names of the columns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.load_results import metrics_of
from harness.noise.odd_trials import switches_per_s
from harness.query.open_run import OpenRun
from harness.recorded_clock import RecordedClock
from harness.report import load_rows, run_rows, score_rows
from harness.store.finished_steps import arm_of

Row = dict[str, Any]
MEASURED = (
    *("switches", "contested_share", "idle_share", "tracer_share", "host_share", "seconds", "attempts"),
    *("guest_switches_per_s", "guest_connections_per_s", "guest_idle_share"),
)
TRIAL_SCORES = ("top1", "contested_top1", "bits_per_switch")


def runs(run: OpenRun) -> Iterator[Row]:
    """Yield the row of a run."""
    yield run_rows.facts(run.folder, run.manifest)


def arms(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each arm of a run that has a trial or a machine."""
    of_arm: dict[str, list[str]] = {arm: [] for arm in run.manifest.get("arms", {})}
    steps = dict(run.steps("trial"))
    for name, step in steps.items():
        of_arm.setdefault(arm_of(step), []).append(name)
    for arm, names in sorted(of_arm.items()):
        recorded_on = run.manifest.get("arms", {}).get(arm) or run.manifest
        records = [run.trials[name] for name in names if name in run.trials]
        yield {
            "arm": arm,
            "settings": _settings(records[0]) if records else None,
            "trials": len(names),
            "usable": sum(steps[name]["state"] == "done" for name in names),
            **_machine(recorded_on.get("machine") or {}),
            "box": (recorded_on.get("box") or {}).get("name"),
        }


def trials(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each trial of a run, usable or not."""
    for name, step in run.steps("trial"):
        record = run.trials.get(name, {})
        span_ns = (record.get("quality") or {}).get("span_ns")
        yield {
            "trial": name,
            "arm": arm_of(step),
            "usable": step["state"] == "done",
            "failed": _failed(record) or step["error"],
            "settings": _settings(record),
            "block": record.get("block", record.get("repetition")),
            **{key: record.get(key) for key in ("late", "boot_id", "host_id")},
            "recorded_at": record.get("recorded_at") or step.get("started"),
            "load": (record.get("load") or {}).get("kind") or load_rows.kind(arm_of(step)),
            **_machine(record.get("machine") or {}),
            **{key: record.get(key, step["detail"].get(key)) for key in MEASURED},
            "tracer": record.get("tracer", "perf"),  # earlier versions had no other
            "span_s": span_ns / 1e9 if span_ns else None,
            "switches_per_s": switches_per_s(record),
        }


def metrics(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each number that the load of a trial measured."""
    for name, step in run.steps("trial"):
        for key, value in metrics_of(run.trials.get(name) or step["detail"]).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                usable = step["state"] == "done"
                yield {"trial": name, "arm": arm_of(step), "usable": usable, "metric": key, "value": value}


def load_results(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each rate and latency of each arm."""
    yield from load_rows.read(run.manifest)


def scores(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each predictor of each arm."""
    found = score_rows.read(run.folder)
    run.problems += [f"{run.name}: {problem}" for problem in found.problems]
    for row in found.rows:
        yield {**row, "seeds": [int(seed) for seed in row["seeds"] if str(seed).isdecimal()]}


def trial_scores(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each trial that each model was scored on."""
    steps = dict(run.steps("model"))
    for model, content in run.scores.items():
        about = {"model": model, "predictor": content["predictor"], "inputs": content.get("regime")}
        for trial, values in sorted((content.get("by_trial") or {}).items()):
            measured = {name: values.get(name) for name in TRIAL_SCORES}
            yield {"trial": trial, "arm": arm_of(steps[model]), **about, "seed": content.get("seed"), **measured}


def facts(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each value that a fact has in the usable trials of each arm."""
    from harness.comparison.facts.fact_sources import NONE, RunFacts
    from harness.comparison.facts.side_facts import collect

    known, of_arm = RunFacts(run.folder), dict[str, list[str]]()
    for name, step in run.steps("trial"):
        if step["state"] == "done":
            of_arm.setdefault(arm_of(step), []).append(name)
    for arm, names in of_arm.items():
        for fact, values in collect([known.of_trial(name, arm) for name in names]).items():
            for value, trials in values.items():
                kept = {"topic": fact.group, "name": fact.name, "value": None if value == NONE else value}
                yield {"arm": arm, **kept, "trials": trials}


def costs(run: OpenRun) -> Iterator[Row]:
    """Yield a row for each step of a run."""
    for name, step in run.manifest["steps"].items():
        kept = {key: step.get(key) for key in ("state", "started", "seconds", "error")}
        yield {"step": name, "kind": name.partition(":")[0], "arm": step["detail"].get("arm"), **kept}


ROWS: dict[str, Callable[[OpenRun], Iterator[Row]]] = {
    table.__name__: table for table in (runs, arms, trials, metrics, load_results, scores, trial_scores, facts, costs)
}


def _machine(machine: Mapping[str, Any]) -> Row:
    known = {key: machine.get(key) for key in ("box", "kernel", "cpus", "accelerator", "memory_mb", "hypervisor")}
    return {**known, "clock": RecordedClock.of(machine).short if machine else None}


def _settings(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the swept values as the entries of a map from text to text."""
    settings = record.get("settings")
    pairs = settings.items() if isinstance(settings, Mapping) else ()
    return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in pairs]


def _failed(record: Mapping[str, Any]) -> str | None:
    """Return the names of the checks that a trial failed; None where it failed none."""
    checks = (record.get("verdict") or {}).get("checks") or ()
    return ", ".join(check["name"] for check in checks if not check["ok"]) or None


def plain(value: Any, kind: str) -> Any:
    """Return a value as a column of this SQL type can hold it; a text that is no UTF-8 has its bytes spelt."""
    if isinstance(value, str):
        return (
            value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if kind == "VARCHAR" else None
        )
    if kind == "VARCHAR":
        return None if value is None else str(value)
    if kind == "BIGINT" and isinstance(value, float):
        return int(value) if value.is_integer() else None
    if kind == "DOUBLE" and isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    return value

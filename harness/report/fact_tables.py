"""The rows of the page's plain tables: where it ran, with what, and the trials side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.report import text
from harness.report.recordings import Recording
from harness.report.run_facts import Run
from harness.report.trials import Trial

_EXACT = ("digest", "port", "version", "pid", "cmdline")  # numbers in these are names, and are not grouped
_BANNERED = ("fallback_reason", "asked")


def where(run: Run) -> list[tuple[str, str]]:
    """Where it ran, as (name, value): the box, the machine, the guest as every trial found it, the host."""
    box = run.manifest.get("box")
    known = {key: value for key, value in box.items() if key not in _BANNERED} if isinstance(box, dict) else None
    return [
        *_flat("box", known),
        *_flat("machine", run.manifest.get("machine")),
        *_told([_guest_rows(trial.guest) for trial in run.trials if trial.guest]),
        *_flat("host", run.manifest.get("host")),
    ]


def settings(run: Run) -> list[tuple[str, str]]:
    """The scheduler's settings in the guest, by path, as far as its kernel shows them."""
    found = [_mapping(_mapping(trial.guest.get("facts")).get("scheduler")) for trial in run.trials if trial.guest]
    return _told([[(text.visible(path), text.visible(value)) for path, value in one.items()] for one in found])


def versions(run: Run) -> list[tuple[str, str]]:
    """Versions of harness, Python and packages on the host."""
    found = dict(_mapping(run.manifest.get("versions")))
    packages = _mapping(found.pop("packages", None))
    return [(text.visible(name), text.visible(version)) for name, version in {**found, **packages}.items()]


def _guest_rows(guest: dict[str, Any]) -> list[tuple[str, str]]:
    facts = {key: value for key, value in _mapping(guest.get("facts")).items() if key != "scheduler"}
    return _flat("guest", {**facts, **({"perf": guest["perf_version"]} if "perf_version" in guest else {})})


def _told(trials: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """The rows of all trials as one list; where trials differ, as those of a sweep may, each value once."""
    found: dict[str, dict[str, None]] = {}
    for name, value in (row for rows in trials for row in rows):
        found.setdefault(name, {})[value] = None
    return [(name, " | ".join(values)) for name, values in found.items()]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Nested mappings as rows whose names tell the way to them; lists as one row; nothing for null."""
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in _flat(f"{name} {text.visible(key)}", inner)]
    label = name.replace("_", " ")
    if isinstance(value, list):
        return [(label, ", ".join(text.plain(item) for item in value) or text.NO_VALUE)]
    if value is None:
        return []
    return [(label, text.visible(value) if any(word in name for word in _EXACT) else text.plain(value))]


def side_by_side(trials: list[Trial]) -> list[tuple[str, list[str]]]:
    """The trials as columns: (what, its value in each trial); first the recordings, then the load's own metrics."""
    known: list[tuple[str, Callable[[Recording], str]]] = [
        ("recorded", lambda rec: text.seconds(rec.span_s)),
        ("slices", lambda rec: text.count(rec.switches)),
        ("slices per second", lambda rec: text.count(rec.switches / rec.span_s if rec.span_s else None)),
        ("slices without an end", lambda rec: text.count(rec.unended)),
        ("tasks", lambda rec: text.count(rec.task_count)),
        ("contested", lambda rec: text.percent(rec.contested_share)),
        ("idle", lambda rec: text.percent(rec.idle_share)),
        ("median wakeup latency", lambda rec: text.duration(rec.latency.p50 if rec.latency else None)),
        ("95th percentile", lambda rec: text.duration(rec.latency.p95 if rec.latency else None)),
        ("99th percentile", lambda rec: text.duration(rec.latency.p99 if rec.latency else None)),
    ]
    rows = [(name, [show(t.recording) if t.recording else text.NO_VALUE for t in trials]) for name, show in known]
    metrics = dict.fromkeys(name for trial in trials for name in trial.metrics)
    return rows + [
        (
            "load: " + text.visible(name).replace("_per_s", " per second").replace("_", " "),
            [text.plain(t.metrics.get(name)) for t in trials],
        )
        for name in metrics
    ]

"""Rows of the page's plain tables: machine and guest, versions, settings, and the trials side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.load_results import results
from harness.recorded_clock import RecordedClock
from harness.report import host_facts, text
from harness.report.recording_summary import RecordingSummary
from harness.report.run_facts import RunFacts
from harness.report.trial_facts import TrialFacts, as_mapping, mapping
from harness.visible import visible

_EXACT = ("digest", "port", "version", "pid", "cmdline")  # numbers in these are names: no thousands separators
_IN_BANNER = ("fallback_reason", "asked")
_NOT_OF_THE_MACHINE = ("scheduler", "tasks", "cgroups")  # shown elsewhere, or too many and for the replay only


def where_it_ran(run: RunFacts) -> list[tuple[str, str]]:
    """Return (name, value) rows of the box, the machine, the guest as each trial found it, and the host."""
    return [
        *_merged(
            [_flat("box", _known_of(box)) for box in (*_of_arms(run.manifest, "box"), mapping(run.manifest, "box"))]
        ),
        *_flat("repeats", run.manifest.get("repeats")),
        *_merged([_machine_rows(machine) for machine in _of_arms(run.manifest, "machine")]),
        *_merged([_guest_rows(trial.guest) for trial in run.trials if trial.guest]),
        *_flat("host", run.manifest.get("host")),
    ]


def _of_arms(manifest: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The box or machine of every arm; in a run that ended early the manifest's own, which is the last one."""
    arms = [mapping(as_mapping(recorded_on), key) for recorded_on in mapping(manifest, "arms").values()]
    return [known for known in arms if known] or [mapping(manifest, key)]


def _known_of(box: dict[str, Any]) -> dict[str, Any]:
    """The facts of a box without those at the head of the page, and without packages, which are the guest's."""
    known = {key: value for key, value in box.items() if key not in _IN_BANNER}
    if provisioned := as_mapping(known.get("provisioned")):
        known["provisioned"] = {key: value for key, value in provisioned.items() if key != "packages"}
    return known


def _machine_rows(machine: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of a machine; versions before 0.3.0 did not name its clock, which was the host's."""
    return _flat("machine", {**machine, **({"clock": RecordedClock.of(machine).kind} if machine else {})})


SETTING_KEYS = ("name", "actual", "before", "path")


@dataclass(frozen=True)
class KernelSetting:
    """A kernel setting of the experiment as it was read back in the guest, and the arms that it was so in."""

    name: str
    value: str
    before: str
    path: str
    arms: list[str]


def kernel_settings(run: RunFacts) -> list[KernelSetting]:
    """Return what the experiment set in the guest's kernel, each value once; `before` is what the kernel began with."""
    arms: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for trial in run.trials:
        known = trial.guest.get("kernel_settings")
        for setting in map(as_mapping, known if isinstance(known, list) else ()):
            name, value, before, path = (visible(setting.get(key) or "") for key in SETTING_KEYS)
            arms.setdefault((name, value, before, path), {})[trial.arm] = None
    return [KernelSetting(*setting, list(names)) for setting, names in arms.items()]


def settings(run: RunFacts) -> list[tuple[str, str]]:
    """Return (path, value) rows of the guest's scheduler settings, as far as its kernel shows them."""
    trials = [mapping(mapping(trial.guest, "facts"), "scheduler") for trial in run.trials]
    return _merged([[(visible(path), visible(value)) for path, value in settings.items()] for settings in trials])


def versions(run: RunFacts) -> list[tuple[str, str]]:
    """Return (name, version) rows of harness, Python and packages on the host."""
    known = mapping(run.manifest, "versions")
    programs = {name: known[name] for name in ("harness", "commit", "python") if known.get(name)}
    if known.get("dirty"):
        programs["commit"] = f"{known.get('commit')}, and changes that were not committed"
    return [(visible(name), visible(number)) for name, number in {**programs, **mapping(known, "packages")}.items()]


def software(run: RunFacts) -> str:
    """Return, in a sentence or two, what recorded and scored the run, and what of it another version did."""
    recorded = mapping(run.manifest, "versions")
    sentences = [f"Made by {_program(recorded)}." if recorded else "The manifest does not say what made this run."]
    steps: dict[str, list[str]] = {}
    for name, step in mapping(run.manifest, "steps").items():
        if other := mapping(as_mapping(step), "versions"):
            steps.setdefault(_program(other), []).append(visible(name))
    sentences += [f"Done by {program}: {', '.join(names)}." for program, names in steps.items()]
    return " ".join(sentences)


def _program(versions: dict[str, Any]) -> str:
    """Return the version, the commit and the packages of one harness."""
    commit = f", commit {visible(versions['commit'])[:12]}" if versions.get("commit") else ""
    dirty = " with changes that were not committed" if versions.get("dirty") else ""
    packages = [f"{visible(name)} {visible(number)}" for name, number in mapping(versions, "packages").items()]
    python = f"Python {visible(versions['python'])}" if versions.get("python") else "an unknown Python"
    return ", ".join(
        [f"harness {visible(versions.get('harness', 'of an unknown version'))}{commit}{dirty}", python, *packages]
    )


def _guest_rows(guest: dict[str, Any]) -> list[tuple[str, str]]:
    facts = {key: value for key, value in mapping(guest, "facts").items() if key not in _NOT_OF_THE_MACHINE}
    return _flat("guest", {**facts, **({"perf": guest["perf_version"]} if "perf_version" in guest else {})})


def _merged(trials: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Merge the rows of all trials; where trials differ, as those of a sweep may, list each value once."""
    merged: dict[str, dict[str, None]] = {}
    for name, value in (row for rows in trials for row in rows):
        merged.setdefault(name, {})[value] = None
    return [(name, " | ".join(values)) for name, values in merged.items()]


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Flatten nested mappings into rows named by their path; a list is one row, null is none."""
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in _flat(f"{name} {visible(key)}", inner)]
    label = name.replace("_", " ")
    if isinstance(value, list):
        return [(label, ", ".join(text.plain(item) for item in value) or text.NO_VALUE)]
    if value is None:
        return []
    return [(label, visible(value) if any(word in name for word in _EXACT) else text.plain(value))]


@dataclass(frozen=True)
class Quantity:
    """A row of the trials side by side: in each trial the text that is shown, and the exact value in `unit`."""

    name: str
    unit: str
    cells: list[tuple[str, Any]]

    @property
    def with_unit(self) -> str:
        """The name of the row where its values are bare numbers."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


def side_by_side(trials: list[TrialFacts]) -> list[Quantity]:
    """Return the clock and the host's share, numbers of the recordings, then the load's own metrics.

    Where a trial has no tracer, also what the kernels of the guests counted, in all trials alike.
    """
    known: list[tuple[str, str, Callable[[RecordingSummary], float | None], Callable[[float | None], str]]] = [
        ("recorded", "s", lambda rec: rec.span_s, text.seconds),
        ("slices", "", lambda rec: rec.switches, text.count),
        ("slices per second", "", lambda rec: rec.switches / rec.span_s if rec.span_s else None, text.count),
        ("slices without an end", "", lambda rec: rec.unended, text.count),
        ("tasks", "", lambda rec: rec.task_count, text.count),
        ("contested", "", lambda rec: rec.contested_share, text.percent),
        ("idle", "", lambda rec: rec.idle_share, text.percent),
        ("median wakeup latency", "ns", lambda rec: rec.latency.p50 if rec.latency else None, text.duration),
        ("95th percentile", "ns", lambda rec: rec.latency.p95 if rec.latency else None, text.duration),
        ("99th percentile", "ns", lambda rec: rec.latency.p99 if rec.latency else None, text.duration),
    ]
    known = known if any(trial.recording for trial in trials) else []
    return [
        Quantity("clock", "", [_cell(trial.clock.short if trial.record else None, text.plain) for trial in trials]),
        Quantity("host’s share", "", [_cell(host_facts.host_share(trial), text.percent) for trial in trials]),  # noqa: RUF001
        *(
            Quantity(name, unit, [_cell(get(trial.recording) if trial.recording else None, show) for trial in trials])
            for name, unit, get, show in known
        ),
        *(_counted_by_kernels(trials) if any(trial.untraced for trial in trials) else ()),
        *_metrics(trials),
    ]


def _counted_by_kernels(trials: list[TrialFacts]) -> Iterator[Quantity]:
    rows = (
        ("switches per second", "guest_switches_per_s", text.count),
        ("accepted connections per second", "guest_connections_per_s", text.count),
        ("idle", "guest_idle_share", text.percent),
    )
    for name, key, show in rows:
        cells = [_cell(text.number(trial.record.get(key)), show) for trial in trials]
        yield Quantity(f"{name}, as the kernel counted", "", cells)


def _metrics(trials: list[TrialFacts]) -> Iterator[Quantity]:
    """Yield a row for each metric that the load of any trial has: its rates and latencies, then all others."""
    measured = {result.key: result for result in results(*(trial.record for trial in trials))}
    for key, result in measured.items():
        unit, show = ("", text.plain) if result.is_rate else ("ms", _milliseconds)
        yield Quantity(f"load: {result.name}", unit, [_cell(trial.metrics.get(key), show) for trial in trials])
    for key in dict.fromkeys(key for trial in trials for key in trial.metrics if key not in measured):
        words = "load: " + visible(key).replace(".", " ").replace("_", " ")
        yield Quantity(words, "", [_cell(trial.metrics.get(key), text.plain) for trial in trials])


def _milliseconds(value: Any) -> str:
    return text.NO_VALUE if value is None else f"{text.plain(value)} ms"


def _cell(value: Any, show: Callable[[Any], str]) -> tuple[str, Any]:
    return show(value), value

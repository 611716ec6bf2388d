"""The facts that differ between two runs: host, machine, box, software, experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from harness.comparison.measurement import usable_trials
from harness.errors import SpecError, StoreError
from harness.recorded_clock import RecordedClock
from harness.store import RunFolder
from harness.store.trial_record import read_guest, read_trial

HOST = {"cpu": "host CPU", "cores": "host CPUs", "memory_mb": "host memory, MB", "kernel": "host kernel"}
MACHINE = {
    "kernel": "guest kernel",
    "cpus": "guest CPUs",
    "memory_mb": "guest memory, MB",
    "hypervisor": "hypervisor",
    "hypervisor_version": "hypervisor version",
    "accelerator": "accelerator",
    "vcpu_placement": "vCPU placement",
}
SHOWN_AS_FACTS = {  # keys of the experiment whose outcome is a fact of the machine
    f"machine.{key}" for key in ("box", "fallback", "accelerator", "clock", "cpu_speed")
} | {"name", "question"}
NONE = "-"


@dataclass(frozen=True)
class FactDifference:
    """One fact that is not the same in two runs, as text."""

    name: str
    first: str
    second: str


def differing_facts(first: RunFolder, second: RunFolder) -> list[FactDifference]:
    """Return the facts that differ, in the order of `facts`."""
    left, right = facts(first), facts(second)
    names = dict.fromkeys([*left, *right])
    rows = [FactDifference(name, left.get(name, NONE), right.get(name, NONE)) for name in names]
    return [row for row in rows if row.first != row.second]


def facts(run: RunFolder) -> dict[str, str]:
    """Return all facts of a run that are compared; of a fact that differs between its arms, all values."""
    manifest = run.manifest
    stages = recorded_on(manifest)
    known = {"state": run.state + ", edited" * run.is_edited}
    known |= {label: _text(manifest.get("host", {}).get(key)) for key, label in HOST.items()}
    known |= {"host share": _host_share(run)}
    known |= {label: _joined(stage["machine"].get(key) for stage in stages) for key, label in MACHINE.items()}
    known |= {"clock": _joined(RecordedClock.of(stage["machine"]).short for stage in stages)}
    known |= {"box": _joined(stage["box"].get("name") for stage in stages)}
    known |= {"box digest": _joined(stage["box"].get("digest") for stage in stages)}
    kept = [stage["box"].get("provisioned") or {} for stage in stages]
    known |= {"provisioned digest": _joined(machine.get("digest") for machine in kept)}
    known |= {"provisioned image digest": _joined(machine.get("image_sha256") for machine in kept)}
    known |= dict(_packages(stages)) | dict(_kernel_settings(run))
    return known | dict(_versions(manifest.get("versions", {}))) | dict(_experiment(run))


def recorded_on(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return `box`, `machine` and `packages` of each arm; a manifest of an early version has one for all."""
    return list(by_arm(manifest).values()) or [_stage(manifest)]


def by_arm(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return `box`, `machine` and `packages` by arm; empty in a manifest of an early version."""
    return {arm: _stage(stage) for arm, stage in manifest.get("arms", {}).items()}


def _stage(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content.get(name) or {} for name in ("box", "machine", "packages")}


def _host_share(run: RunFolder) -> str:
    """Return the share of the recorded time in which the guest's CPU waited for the host's, the mean over trials."""
    trials = [read_trial(run.trial_dir(name)) for names in usable_trials(run).values() for name in names]
    shares = [share for trial in trials if (share := (trial.get("host") or {}).get("share")) is not None]
    return f"{fmean(shares):.1%}" if shares else "not measured"


def _packages(stages: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for name in sorted({name for stage in stages for name in stage["packages"]}):
        yield f"guest package {name}", _joined(stage["packages"].get(name) for stage in stages)


def _kernel_settings(run: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield what the kernels of the usable trials had: their command line, and every setting of the scheduler."""
    names = [name for names in usable_trials(run).values() for name in names]
    guests = [guest for name in names if (guest := _guest_facts(run, name))]
    lines = _joined(guest.get("kernel_cmdline") for guest in guests)
    settings = [dict(_settings(guest.get("scheduler") or {})) for guest in guests]
    if guests:
        yield "guest kernel command line", lines
    for path in dict.fromkeys(path for each in settings for path in each):
        yield f"guest {path}", _joined(each.get(path) for each in settings)


def _guest_facts(run: RunFolder, name: str) -> Mapping[str, Any]:
    with suppress(StoreError):  # it is changed or missing, as the comparison says elsewhere
        return read_guest(run.trial_dir(name)).get("facts") or {}
    return {}


def _settings(scheduler: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the settings by their paths; of the list of features, each by its name."""
    for path, text in scheduler.items():
        if not path.endswith("features"):
            yield path, " ".join(text.split())
            continue
        for word in text.split():
            yield f"feature {word.removeprefix('NO_')}", "off" if word.startswith("NO_") else "on"


def _versions(versions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("harness", "commit", "python"):
        yield name, _text(versions.get(name))
    for name, version in sorted(versions.get("packages", {}).items()):
        yield f"Python package {name}", _text(version)


def _experiment(run: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield the values of the experiment, defaults of this version included where it can read it."""
    from harness import spec

    try:
        values = spec.to_dict(run.experiment)
    except SpecError:
        values = run.manifest["spec"]
    for path, value in _flat(values):
        if path not in SHOWN_AS_FACTS:
            yield f"experiment: {path}", _text(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _joined(values: Any) -> str:
    return ", ".join(dict.fromkeys(map(_text, values)))


def _text(value: Any) -> str:
    return NONE if value is None or value == {} else str(value)

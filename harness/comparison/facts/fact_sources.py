"""The facts of one trial and of a run, from manifest.json, trial.json and guest.json, each under its group and name.

What differs from trial to trial by itself is no fact: boot ids, load averages, free memory, names of machines, seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.errors import SpecError, StoreError
from harness.recorded_clock import RecordedClock
from harness.store import RunFolder
from harness.store.integrity import Integrity
from harness.store.trial_record import read_guest, read_trial

if TYPE_CHECKING:
    from harness.plan import Arm

GROUPS = ("run", "host", "machine", "guest kernel", "packages", "software", "experiment")
HOST = {"cpu": "host CPU", "cores": "host CPUs", "memory_mb": "host memory, MB", "kernel": "host kernel", "id": "host"}
CONDITIONS = {
    "kernel": "host kernel",
    "kernel_build": "host kernel build",
    "microcode": "host microcode",
    "cpu_flags_sha256": "host CPU flags digest",
    "smt": "host SMT",
    "clocksource": "host clocksource",
    "transparent_hugepages": "host transparent hugepages",
}
MACHINE = {
    "cpus": "guest CPUs",
    "memory_mb": "guest memory, MB",
    "hypervisor": "hypervisor",
    "hypervisor_version": "hypervisor version",
    "accelerator": "accelerator",
    "vcpu_placement": "vCPU placement",
}
NONE = "-"
SHOWN_AS_FACTS = {  # keys of the experiment whose outcome is a fact of the machine
    f"machine.{key}" for key in ("box", "fallback", "accelerator", "clock", "cpu_speed")
} | {"name", "question"}
NOT_OF_ARMS = ("trials", "sweep", "compare")  # how many trials in which order, and what is compared
PACKAGES = "guest packages"
FAMILIES = {  # facts of which one machine has more than another, by how their names begin: one missing is none
    "guest CONFIG_": "guest kernel options",
    "guest mitigation ": "guest mitigations",
    "guest feature ": "guest scheduler features",
    "guest /": "guest scheduler settings",
    "guest package ": PACKAGES,
    "host mitigation ": "host mitigations",
    "Python package ": "Python packages",
    "experiment: ": "experiment",
}
RANDOM = [  # what is new on every machine or at every boot, in a kernel's command line
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "UUID"),
    (re.compile(r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", re.IGNORECASE), "MAC"),
    (re.compile(r"\b[0-9a-f]{32,}\b", re.IGNORECASE), "HEX"),
]


class Fact(NamedTuple):
    """What a fact is about: its group, one of GROUPS, and its name."""

    group: str
    name: str


Facts = dict[Fact, str]
OF_ALL_GUESTS = Fact("packages", "guest Python")  # which every guest.json has


def family(fact: Fact) -> str:
    """Return the family of a fact: versions of harness that did not record one did not record any of the others."""
    return next((label for beginning, label in FAMILIES.items() if fact.name.startswith(beginning)), fact.name)


def whole_families(facts: Iterable[Fact]) -> set[str]:
    """Return the families of which a fact that is missing is none, given the facts that were recorded.

    Without guest.json only the packages of the loads are known, from the manifest.
    """
    known = set(facts)
    return {family(fact) for fact in known} - (set() if OF_ALL_GUESTS in known else {PACKAGES})


class RunFacts:
    """The facts of a run, with what it takes to say those of each of its trials, read once.

    `integrity`: what its files say is left out where it does not believe them.
    """

    def __init__(self, run: RunFolder, integrity: Integrity | None = None) -> None:
        self._run, self._manifest, self._integrity = run, run.manifest, integrity
        sealed = {Fact("run", "manifest"): "changed by something else" if run.is_edited else "as written"}
        self._of_run = sealed | of_run(self._manifest)
        self._stages = by_arm(self._manifest)
        self._arms = _arms(run)
        self._values = dict[str | None, Facts]()
        self._own_settings = dict[str, dict[str, Any]]()  # of arms that this version does not find in the experiment

    @property
    def arms(self) -> list[str]:
        """The names of the arms, those that are planned before those that are only recorded."""
        return list(dict.fromkeys([*self._arms, *self._stages]))

    def of_trial(self, name: str, arm: str) -> Facts:
        """Return the facts of a trial: those of the run, of its arm, and its own, which prevail in this order.

        A file that is missing or damaged has no fact: whoever reads its values says so.
        """
        step = self._manifest["steps"].get(f"trial:{name}", {})
        record, guest = self._read(name, "trial.json", read_trial), self._read(name, "guest.json", read_guest)
        if arm not in self._arms:
            self._own_settings[arm] = record.get("settings") or {}
        own = dict(_of_trial(record, guest.get("facts") or {}, step))
        return self._of_run | self._of_arm(arm) | own | self.of_experiment(arm)

    def _read(self, trial: str, name: str, read: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        if self._integrity is None or self._integrity.believed(f"trials/{trial}/{name}"):
            with suppress(StoreError):
                return read(self._run.trial_dir(trial))
        return {}

    def without_trials(self, arm: str | None = None) -> list[Facts]:
        """Return the facts of the run with those of an arm, or of each of its arms, as far as it came."""
        stages = [self._stages[arm]] if arm in self._stages else recorded_on(self._manifest)
        return [self._of_run | of_stage(stage) for stage in stages]

    def _of_arm(self, arm: str) -> Facts:
        return of_stage(self._stages.get(arm) or recorded_on(self._manifest)[0])

    def settings(self, arm: str) -> frozenset[str]:
        """Return the paths of the experiment that an arm sets; of an unknown one, as its trials have them."""
        return frozenset(self._arms[arm].settings if arm in self._arms else self._own_settings.get(arm, ()))

    def of_experiment(self, arm: str | None) -> Facts:
        """Return the values of the experiment by their paths, or those of one of its arms: swept values are its own.

        Defaults of this version are included where it can read the experiment. The copies of files that the run keeps
        are named as they lie in its folder. Values whose outcome is a fact of the machine are left out unless swept.
        """
        if arm not in self._values:
            swept = self.settings(arm) if arm else frozenset[str]()
            left_out = {*SHOWN_AS_FACTS, *(NOT_OF_ARMS if arm else ())} - swept - {"machine.box" if arm else ""}
            self._values[arm] = {
                Fact("experiment", f"experiment: {path}"): value
                for path, value in {**dict(self._flat_values(arm)), **self._own_values(arm)}.items()
                if not {path, path.partition(".")[0]} & left_out
            }
        return self._values[arm]

    def _own_values(self, arm: str | None) -> dict[str, str]:
        return {path: text(value) for path, value in self._own_settings.get(arm or "", {}).items()}

    def _flat_values(self, arm: str | None) -> Iterator[tuple[str, str]]:
        from harness import spec

        inside = f"{self._run.path}/"
        try:
            values = spec.to_dict(self._arms[arm].experiment if arm and arm in self._arms else self._run.experiment)
        except SpecError:
            values = self._manifest["spec"]
        yield from ((path, text(value).replace(inside, "")) for path, value in _flat(values))


def _arms(run: RunFolder) -> dict[str, Arm]:
    """Return the arms of a run by their names; none if this version cannot read its experiment."""
    from harness import plan

    try:
        return {arm.name: arm for arm in plan.arms(run.experiment)}
    except SpecError:
        return {}


def recorded_on(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return `box`, `machine` and `packages` of each arm; a manifest of an early version has one for all."""
    return list(by_arm(manifest).values()) or [_stage(manifest)]


def by_arm(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return `box`, `machine` and `packages` by arm; empty in a manifest of an early version."""
    return {arm: _stage(stage) for arm, stage in manifest.get("arms", {}).items()}


def _stage(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content.get(name) or {} for name in ("box", "machine", "packages")}


def of_run(manifest: Mapping[str, Any]) -> Facts:
    """Return what a manifest keeps of the host, the software and the files of its run."""
    return dict(_of_run(manifest))


def _of_run(manifest: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    host = manifest.get("host") or {}
    yield from ((Fact("host", label), text(host[key])) for key, label in HOST.items() if key in host)
    yield from _software(manifest.get("versions") or {})
    for kind, package in manifest.get("load_packages", {}).items():
        yield Fact("software", f"package of the load {kind}"), text(package)
    for name, entry in manifest.get("files", {}).items():
        yield Fact("experiment", f"file of {name}"), text(entry["sha256"])


def _software(versions: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    for name in ("harness", "commit", "python"):
        yield Fact("software", name), text(versions.get(name))
    if "dirty" in versions:
        yield Fact("software", "changed since its commit"), text(versions["dirty"])
    for name, version in sorted(versions.get("packages", {}).items()):
        yield Fact("software", f"Python package {name}"), text(version)


def of_stage(stage: Mapping[str, Any]) -> Facts:
    """Return what a manifest keeps under an arm: box, machine and packages."""
    return dict(_of_stage(stage))


def _of_stage(stage: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    box = stage.get("box") or {}
    kept = box.get("provisioned") or {}
    yield from _machine(stage.get("machine") or {})
    yield Fact("machine", "box"), text(box.get("name"))
    yield Fact("machine", "box digest"), text(box.get("digest"))
    yield Fact("machine", "provisioned digest"), text(kept.get("digest"))
    yield Fact("machine", "provisioned image digest"), text(kept.get("image_sha256"))
    yield from _packages(stage.get("packages") or {})


def _machine(machine: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    yield Fact("guest kernel", "guest kernel"), text(machine.get("kernel"))
    yield from ((Fact("machine", label), text(machine.get(key))) for key, label in MACHINE.items())
    yield Fact("machine", "clock"), RecordedClock.of(machine).short


def _packages(packages: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    for name, version in sorted(packages.items()):
        yield Fact("packages", f"guest package {name}"), text(version)


def _of_trial(
    record: Mapping[str, Any], guest: Mapping[str, Any], step: Mapping[str, Any]
) -> Iterator[tuple[Fact, str]]:
    """Yield what a trial's own files and its step in the manifest keep."""
    for fact, value in _machine_of_trial(record.get("machine") or {}):
        if value != NONE:
            yield fact, value
    if step.get("versions"):
        yield from _software(step["versions"])
    yield from _host_of_trial(record)
    yield from _guest(guest)


def _machine_of_trial(machine: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    """Yield what the machine was at this trial: a run that was resumed may have had another one before."""
    if machine:
        yield from _machine(machine)
        yield Fact("machine", "box"), text(machine.get("box"))
        yield Fact("machine", "box digest"), text(machine.get("box_digest"))


def _host_of_trial(record: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    host, conditions = record.get("host") or {}, record.get("host_conditions") or {}
    if record.get("host_id"):
        yield Fact("host", HOST["id"]), text(record["host_id"])
    frequency = host.get("frequency_before") or {}
    for key, label in (("governor", "host CPU governor"), ("turbo", "host turbo")):
        if key in frequency:
            yield Fact("host", label), text(frequency[key])
    for key, label in CONDITIONS.items():
        if key in conditions:
            yield Fact("host", label), text(conditions[key])
    for name, state in (conditions.get("mitigations") or {}).items():
        yield Fact("host", f"host mitigation {name}"), text(state)


def _guest(guest: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    """Yield what the guest said of itself."""
    kernel = {"kernel_version": "guest kernel build", "clocksource": "guest clocksource"}
    kernel |= {"transparent_hugepages": "guest transparent hugepages", "cpu_idle": "guest CPU idle"}
    kernel |= {"cpu_governor": "guest CPU governor", "tainted": "guest kernel taint"}
    machine = {"cpu_model": "guest CPU", "cpu_flags": "guest CPU flags"}
    packages = {"perf_version": "guest perf", "python": "guest Python"}
    for group, names in (("guest kernel", kernel), ("machine", machine), ("packages", packages)):
        yield from ((Fact(group, label), text(guest[key])) for key, label in names.items() if key in guest)
    yield from _packages(guest.get("packages") or {})
    if "kernel_cmdline" in guest:
        yield Fact("guest kernel", "guest kernel command line"), _command_line(guest["kernel_cmdline"])
    yield from _kernel(guest)


def _kernel(guest: Mapping[str, Any]) -> Iterator[tuple[Fact, str]]:
    config = guest.get("kernel_config") or {}
    if config:
        yield Fact("guest kernel", "guest kernel configuration"), text(config.get("sha256"))
    for name, value in (config.get("options") or {}).items():
        yield Fact("guest kernel", f"guest {name}"), text(value)
    for name, state in (guest.get("mitigations") or {}).items():
        yield Fact("guest kernel", f"guest mitigation {name}"), text(state)
    for name, value in _settings(guest.get("scheduler") or {}):
        yield Fact("guest kernel", f"guest {name}"), text(value)


def _settings(scheduler: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the settings by their paths; of the list of features, each by its name."""
    for path, value in scheduler.items():
        if not path.endswith("features"):
            yield path, " ".join(value.split())
            continue
        for word in value.split():
            yield f"feature {word.removeprefix('NO_')}", "off" if word.startswith("NO_") else "on"


def _command_line(line: str) -> str:
    """Return the words of a kernel's command line without those of the harness, keys and random identities."""
    kept = " ".join(word for word in line.split() if not word.startswith("harness."))
    for pattern, name in RANDOM:
        kept = pattern.sub(name, kept)
    return kept


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def text(value: Any) -> str:
    """Return a value as text; NONE where there is none."""
    return NONE if value is None or value == {} else str(value)

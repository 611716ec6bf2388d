"""A run recorded again: its experiment as it was carried out there, the box that it needs, and the comparison."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import boxes, files, plan, spec
from harness.boxes import cache, recipes
from harness.boxes import kernel as box_kernel
from harness.campaign import needs
from harness.campaign.steps import recorded_step
from harness.comparison.facts.fact_sources import by_arm, recorded_on
from harness.comparison.repeat.repeated import RepeatComparison, compare_repeated
from harness.errors import BoxError, SpecError, StoreError, UsageError
from harness.files import write_atomic
from harness.machines import guest_clock
from harness.progress import View
from harness.recorded_clock import COUNTED, HOST, RecordedClock, two_clocks
from harness.spec import Experiment, MachineSpec
from harness.spec.document import parse_value
from harness.store import RunFolder, block_record
from harness.store.finished_steps import usable_trials
from harness.store.manifest import NAME as MANIFEST

RESULT = "repeat.json"
CLOCK_SETTINGS = {f"machine.{key}" for key in ("clock", "cpu_speed", "accelerator", "hypervisor", "cpus")}


@dataclass(frozen=True)
class Changes:
    """The changes of the user: settings (path -> YAML text), load, box, as `harness run` takes them."""

    settings: Mapping[str, str]
    load: str | None = None
    box: str | None = None


@dataclass(frozen=True)
class BoxDifference:
    """The box that an arm was recorded on, and the one that it would be recorded on here; a digest may be unknown."""

    arm: str
    name_there: str | None
    digest_there: str | None
    name_here: str
    digest_here: str | None

    def __str__(self) -> str:
        there, here = (_box_text(self.name_there, self.digest_there), _box_text(self.name_here, self.digest_here))
        return f"{self.arm}: {there} there, {here} here"


def require_finished(run: RunFolder) -> None:
    """Raise StoreError unless the run is done, so that all of it can be repeated, and has a trial to compare with."""
    usable = sum(map(len, usable_trials(run.manifest).values()))
    if run.state == "done" and usable:
        return
    resume = f"harness run --resume {shlex.quote(str(run.path))}"
    hint = {"running": "wait until it ends", "done": "`harness show` lists its trials"}.get(run.state, resume)
    error = f" ({run.manifest['error']})" if run.manifest.get("error") else ""
    raise StoreError(
        f"this run is {run.state}, with {usable} usable trials{error}",
        where=str(run.path),
        expected="a run that is done, with at least one usable trial",
        hint=hint,
    )


def experiment_of(run: RunFolder, changes: Changes) -> Experiment:
    """Return the experiment to carry out here: the run's, on the box, clock and accelerator it really used, changed.

    Raises StoreError for a run that is not done or that this version cannot read, SpecError for a wrong change,
    UsageError for a change that leaves no arm to compare, LoadError for a load that is not installed here.
    """
    require_finished(run)
    changed = {path: parse_value(text, f"--set {path}={text}") for path, text in changes.settings.items()}
    try:
        stored = run.experiment
        pins = dict(_pins(run.manifest, stored, changed, other_box=changes.box is not None))
        pinned = spec.changed(stored, pins, kernel_of=boxes.kernel_version)
    except SpecError as error:
        version = run.manifest.get("versions", {}).get("harness", "an older version")
        what = f"this version of harness cannot carry out its experiment: {error.what}"
        raise StoreError(
            what, where=str(run.path), expected=error.expected, hint=f"repeat it with harness {version}"
        ) from None
    result = spec.changed(
        pinned, changes.settings, load_kind=changes.load, box=changes.box, kernel_of=boxes.kernel_version
    )
    needs.of(plan.trials(result), run.manifest.get("load_packages"))
    _require_shared_arm(run, result)
    return result


def require_same_clock(run: RunFolder, experiment: Experiment, changes: Changes) -> None:
    """Raise UsageError if an arm would be recorded on another clock than in the run."""
    there = by_arm(run.manifest)
    options = [
        f"--set {path}={value}" for path, value in changes.settings.items() if path in (*CLOCK_SETTINGS, "machine")
    ]
    for arm in plan.arms(experiment):
        here = _clock_of(arm.experiment.machine)
        recorded = RecordedClock.of(there[arm.name]["machine"]) if arm.name in there else None
        if here and recorded and here != recorded:
            way = f"with {' '.join(options)}" if options else "here"
            what = f"the clock of the run is {recorded.text}; {way}, it would be {here.text}"
            raise two_clocks(what, arm.name, "leave that out, or " if options else "")


def _clock_of(machine: MachineSpec) -> RecordedClock | None:
    """Return the clock that a machine will have; None if it depends on whether KVM works here."""
    if machine.clock is None and machine.accelerator == "auto" and not _needs_host_clock(machine.model_dump()):
        return None
    accelerator = machine.hypervisor if machine.hypervisor == "virtualbox" else machine.accelerator
    clock = guest_clock.choose(machine, accelerator)
    return RecordedClock(clock.kind, clock.cpu_speed)


def box_differences(run: RunFolder, experiment: Experiment) -> list[BoxDifference]:
    """Return the arms that would be recorded on another box here than in the run. Builds and boots nothing."""
    there = by_arm(run.manifest)
    differences = []
    for arm in plan.arms(experiment):
        box = there[arm.name]["box"] if arm.name in there else recorded_on(run.manifest)[0]["box"]
        name = arm.experiment.machine.box
        if name == box.get("name"):
            _require_recipe(run, name)
        here = digest_here(arm.experiment.machine)
        row = BoxDifference(arm.name, box.get("name"), box.get("digest"), name, here)
        if (row.name_there, row.digest_there) != (row.name_here, row.digest_here):
            differences.append(row)
    return differences


def _require_recipe(run: RunFolder, name: str) -> None:
    if "/" not in name and name not in boxes.names():
        raise BoxError(
            f"the run was recorded on the box {name!r}, which has no recipe here",
            where=str(run.path),
            expected=f"one of {', '.join(boxes.names())}",
            hint=f"copy its recipe, and its lock if it has one, to {recipes.folder()}; or --machine BOX --any-box",
        )


def require_same_box(run: RunFolder, experiment: Experiment) -> None:
    """Raise BoxError, before anything starts, if a box here is not the one of the run."""
    for row in box_differences(run, experiment):
        raise BoxError(
            f"the box that would be used here is not the one of {run.path.name}, but "
            f"{_box_text(row.name_here, row.digest_here)}",
            where=row.arm,
            expected=_box_text(row.name_there, row.digest_there),
            hint="use the recipe, its lock and the version of harness of that run "
            f"({run.manifest.get('versions', {}).get('harness', 'unknown')}), and `harness box export` there and "
            "`harness box import` here for the very same image; or --any-box, which lists the box as a differing fact",
        )


def summary(run: RunFolder, experiment: Experiment) -> str:
    """Return in one line what would be repeated, on which clock and box."""
    machine = experiment.machine
    clock = RecordedClock.of(machine.model_dump()).short if machine.clock else "as it turns out"
    others = "; ".join(map(str, box_differences(run, experiment)))
    return f"repeats {run.path.name}; clock: {clock}; " + (f"another box: {others}" if others else "the same box")


def digest_here(machine: MachineSpec) -> str | None:
    """Return the digest of the box that a campaign would use on this host; None for a ready-made box."""
    if "/" in machine.box:
        return None
    form = None if isinstance(machine.kernel, str) else machine.kernel
    kernel = box_kernel.read(form).fingerprint() if form else None
    return cache.current_digest(boxes.recipe(machine.box), kernel)


def create(runs_dir: Path, run: RunFolder, experiment: Experiment, command: list[str]) -> RunFolder:
    """Make the run folder of the repetition; its manifest names under `repeats` the run that it repeats."""
    folder = RunFolder.create(runs_dir, experiment, command=command)
    digest = files.sha256(run.path / MANIFEST)
    with folder.lock():
        folder.update(repeats={"run": run.path.name, "path": str(run.path), "manifest_sha256": digest})
    return folder


def compare_and_store(run: RunFolder, repetition: RunFolder, view: View, *, across_clocks: bool) -> RepeatComparison:
    """Compare the repetition with the run it repeats, and write repeat.json to its folder."""
    title = f"Compare with {run.path.name}"
    with repetition.lock(), recorded_step(repetition, view, "repeat", title) as step:
        result = compare_repeated(run, repetition, across_clocks=across_clocks)
        path = repetition.path / RESULT
        write_atomic(path, json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n")
        step.outputs.append(path)
        step.detail.update(outcome=result.outcome, conclusion=result.conclusion)
    return result


def _pins(
    manifest: Mapping[str, Any], stored: Experiment, changed: Mapping[str, Any], *, other_box: bool
) -> Iterator[tuple[str, str]]:
    """Yield the values that the run found out for itself, so that this host does not find out others.

    What is swept or changed keeps its value, and so does what the arms found out differently.
    """
    chosen, stages = {*changed, *stored.sweep}, recorded_on(manifest)
    pins = {} if CLOCK_SETTINGS & {*stored.sweep} else _clock_pins(stages, stored, changed)
    if "machine.accelerator" not in chosen and {stage["machine"].get("accelerator") for stage in stages} == {"tcg"}:
        pins["machine.accelerator"] = "tcg"
    names = {stage["box"].get("name") for stage in stages}
    if not other_box and not {"machine.box", "machine.fallback"} & chosen and len(names) == 1 and names != {None}:
        pins |= {"machine.box": names.pop(), "machine.fallback": None}
    pins |= _block_pins(manifest, changed)
    for path, value in pins.items():
        yield path, json.dumps(value)


def _block_pins(manifest: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, str | int | None]:
    """Return as many blocks as are complete in the run, where its recordings decided on their number."""
    record = block_record.of(manifest)
    if not (record and record.get("rule")) or "trials.blocks" in changed:
        return {}
    number = {} if "trials.repeat" in changed else {"trials.repeat": max(1, int(record["complete"]))}
    return {"trials.blocks": "fixed", **number}


def _clock_pins(
    stages: list[dict[str, Any]], stored: Experiment, changed: Mapping[str, Any]
) -> dict[str, str | int | None]:
    """Return the clock of the run, or the one that the changed settings bring with them."""
    clocks = {RecordedClock.of(stage["machine"]) for stage in stages}
    if len(clocks) != 1:
        return {}
    recorded = clocks.pop()
    if changed.get("machine.clock", recorded.kind) != recorded.kind:
        return {"machine.cpu_speed": None}  # the clock itself is set by the change
    machine = {key: changed.get(f"machine.{key}", value) for key, value in stored.machine.model_dump().items()}
    if "machine.clock" not in changed and _needs_host_clock(machine):
        return {"machine.clock": HOST, "machine.cpu_speed": None}
    kind = COUNTED if changed.get("machine.cpu_speed") else recorded.kind
    return {"machine.clock": kind, "machine.cpu_speed": recorded.cpu_speed}


def _needs_host_clock(machine: Mapping[str, Any]) -> bool:
    """Return whether a machine with these settings cannot count instructions."""
    return machine["accelerator"] == "kvm" or machine["hypervisor"] == "virtualbox" or machine["cpus"] != 1


def _require_shared_arm(run: RunFolder, experiment: Experiment) -> None:
    there, here = usable_trials(run.manifest), [arm.name for arm in plan.arms(experiment)]
    if not set(there) & set(here):
        raise UsageError(
            f"with these changes the arms are {', '.join(here)}",
            where=run.path.name,
            expected=f"at least one of the run's arms to compare: {', '.join(there)}",
        )


def _box_text(name: str | None, digest: str | None) -> str:
    ready_made = "/" in (name or "")
    return f"{name or 'an unknown box'}" + (
        "" if ready_made else (f" with the digest {digest}" if digest else " with an unknown digest")
    )

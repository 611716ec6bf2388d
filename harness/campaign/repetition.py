"""A run recorded again: its experiment as it was carried out there, the box that it needs, and the comparison."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import boxes, comparison, files, plan, recorded_clock, spec
from harness.boxes import cache
from harness.campaign.steps import recorded_step
from harness.comparison import Comparison
from harness.comparison.facts import by_arm, recorded_on
from harness.comparison.measurement import usable_trials
from harness.errors import BoxError, SpecError, StoreError, UsageError
from harness.files import write_atomic
from harness.progress import View
from harness.recorded_clock import RecordedClock
from harness.spec import Experiment
from harness.store import RunFolder
from harness.store.manifest import NAME as MANIFEST

RESULT = "repeat.json"


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
    """Raise StoreError unless the run is done, so that all of it can be repeated."""
    if run.state == "done":
        return
    usable = sum(map(len, usable_trials(run).values()))
    hint = "wait until it ends" if run.state == "running" else f"harness run --resume {run.path}"
    error = f" ({run.manifest['error']})" if run.manifest.get("error") else ""
    raise StoreError(
        f"this run is {run.state}, with {usable} usable trials{error}",
        where=str(run.path),
        expected="a run that is done",
        hint=hint,
    )


def experiment_of(run: RunFolder, changes: Changes, predictors: Collection[str] | None = None) -> Experiment:
    """Return the experiment to carry out here: the run's, on the box, clock and accelerator it really used, changed.

    Raises StoreError for a run that is not done or that this version cannot read, SpecError for a wrong change,
    UsageError for a change that leaves no arm to compare.
    """
    require_finished(run)
    try:
        stored = run.experiment
        pinned = spec.changed(stored, dict(_pins(run.manifest, stored, changes)), predictors=predictors)
    except SpecError as error:
        version = run.manifest.get("versions", {}).get("harness", "an older version")
        what = f"this version of harness cannot carry out its experiment: {error.what}"
        raise StoreError(
            what, where=str(run.path), expected=error.expected, hint=f"repeat it with harness {version}"
        ) from None
    changed = spec.changed(pinned, changes.settings, load_kind=changes.load, box=changes.box, predictors=predictors)
    _require_shared_arm(run, changed)
    return changed


def require_same_clock(run: RunFolder, experiment: Experiment) -> None:
    """Raise UsageError if an arm would be recorded on another clock than in the run."""
    there = by_arm(run.manifest)
    for arm in plan.arms(experiment):
        machine = arm.experiment.machine
        if arm.name not in there or machine.clock is None:  # null: known only when the machine is up
            continue
        recorded, here = RecordedClock.of(there[arm.name]["machine"]), RecordedClock.of(machine.model_dump())
        recorded_clock.require_same(recorded, here, arm.name)


def box_differences(run: RunFolder, experiment: Experiment) -> list[BoxDifference]:
    """Return the arms that would be recorded on another box here than in the run. Builds and boots nothing."""
    there = by_arm(run.manifest)
    differences = []
    for arm in plan.arms(experiment):
        box = there[arm.name]["box"] if arm.name in there else recorded_on(run.manifest)[0]["box"]
        name = arm.experiment.machine.box
        row = BoxDifference(arm.name, box.get("name"), box.get("digest"), name, digest_here(name))
        if (row.name_there, row.digest_there) != (row.name_here, row.digest_here):
            differences.append(row)
    return differences


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


def digest_here(name: str) -> str | None:
    """Return the digest of the box that a campaign would use on this host; None for a ready-made box."""
    return None if "/" in name else cache.current_digest(boxes.recipe(name))


def create(runs_dir: Path, run: RunFolder, experiment: Experiment, command: list[str]) -> RunFolder:
    """Make the run folder of the repetition; its manifest names under `repeats` the run that it repeats."""
    folder = RunFolder.create(runs_dir, experiment, command=command)
    digest = files.sha256(run.path / MANIFEST)
    with folder.lock():
        folder.update(repeats={"run": run.path.name, "path": str(run.path), "manifest_sha256": digest})
    return folder


def compare_and_store(run: RunFolder, repetition: RunFolder, view: View, *, across_clocks: bool) -> Comparison:
    """Compare the repetition with the run it repeats, and write repeat.json to its folder."""
    title = f"Compare with {run.path.name}"
    with repetition.lock(), recorded_step(repetition, view, "repeat", title) as step:
        result = comparison.compare(run, repetition, across_clocks=across_clocks)
        path = repetition.path / RESULT
        write_atomic(path, json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n")
        step.outputs.append(path)
        step.detail.update(outcome=result.outcome, conclusion=result.conclusion)
    return result


def _pins(manifest: Mapping[str, Any], stored: Experiment, changes: Changes) -> Iterator[tuple[str, str]]:
    """Yield the values that the run found out for itself, so that this host does not find out others.

    What is swept or changed keeps its value, and so does what the arms found out differently.
    """
    chosen = {*changes.settings, *stored.sweep} | ({"machine.box"} if changes.box else set())
    stages = recorded_on(manifest)
    pins: dict[str, Any] = {}
    if not {"machine.clock", "machine.cpu_speed", "machine.accelerator"} & chosen:
        clocks = {RecordedClock.of(stage["machine"]) for stage in stages}
        if len(clocks) == 1:
            clock = clocks.pop()
            pins |= {"machine.clock": clock.kind, "machine.cpu_speed": clock.cpu_speed}
        if {stage["machine"].get("accelerator") for stage in stages} == {"tcg"}:
            pins["machine.accelerator"] = "tcg"
    names = {stage["box"].get("name") for stage in stages}
    if not {"machine.box", "machine.fallback"} & chosen and len(names) == 1 and names != {None}:
        pins |= {"machine.box": names.pop(), "machine.fallback": None}
    for path, value in pins.items():
        yield path, json.dumps(value)


def _require_shared_arm(run: RunFolder, experiment: Experiment) -> None:
    there, here = usable_trials(run), [arm.name for arm in plan.arms(experiment)]
    if not set(there) & set(here):
        raise UsageError(
            f"with these changes the arms are {', '.join(here)}",
            where=run.path.name,
            expected=f"at least one of the run's arms to compare: {', '.join(there)}",
        )


def _box_text(name: str | None, digest: str | None) -> str:
    return f"{name or 'an unknown box'} with the digest {digest}" if digest else f"{name or 'an unknown box'}"

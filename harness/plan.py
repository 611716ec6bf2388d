"""Experiment -> arms -> ordered trials. Nothing is touched, and the same file gives the same plan everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import Any, cast

from harness import spec
from harness.loads import Load
from harness.spec import Experiment, MachineSpec, RecordSpec

# Rough costs beside the recording itself, for `--dry-run`; measured on two cores with an emulated guest.
MACHINE_S = 150.0  # from nothing to a provisioned machine
TRIAL_S = 20.0  # checks, upload, pull and reading of one trial

MAX_NAME = 120  # folders are named after arms


@dataclass(frozen=True)
class Arm:
    """One treatment: a combination of swept values, and the experiment with those in place."""

    name: str
    settings: dict[str, Any] = field(hash=False)
    experiment: Experiment = field(hash=False)


@dataclass(frozen=True)
class Trial:
    """One recording to make: arm x repetition x host. `host` counts the hosts of the machine, from 0."""

    index: int
    name: str
    arm: Arm
    repetition: int
    host: int
    load: Load
    record: RecordSpec
    machine: MachineSpec


@dataclass(frozen=True)
class PlanRow:
    """One line of a printed plan; `estimate_s` leaves the machine's own start out."""

    name: str
    arm: str
    repetition: int
    box: str
    load: str
    warmup_s: float
    record_s: float
    estimate_s: float


def arms(experiment: Experiment) -> list[Arm]:
    """Every combination of the swept values, the last path varying fastest; without a sweep, one arm."""
    settings = spec.combinations(experiment.sweep)
    made = [spec.apply(experiment, one) for one in settings]
    names = [_arm_name(str(getattr(one.load, "kind", "")), values) for one, values in zip(made, settings, strict=True)]
    return [
        Arm(name if names.count(name) == 1 else f"{name}__{number:02d}", values, one)
        for number, (name, values, one) in enumerate(zip(names, settings, made, strict=True))
    ]


def trials(experiment: Experiment) -> list[Trial]:
    """All trials in the order they are recorded: repetition by repetition, the arms of each in the seeded order.

    A host that grows warm or busy over the hours then touches every arm alike (a randomised block design).
    """
    listed = arms(experiment)
    draw = Random(experiment.trials.seed)
    ordered = [
        (repetition, arm)
        for repetition in range(experiment.trials.repeat)
        for arm in (_shuffled(listed, draw) if experiment.trials.order == "shuffled" else listed)
    ]
    return [_trial(index, arm, repetition) for index, (repetition, arm) in enumerate(ordered)]


def by_machine(planned: Sequence[Trial]) -> list[list[Trial]]:
    """Neighbours in the plan that share one machine: each group needs one start of one machine."""
    return [list(group) for _, group in groupby(planned, key=lambda trial: trial.machine)]


def describe(planned: Sequence[Trial]) -> list[PlanRow]:
    """The plan as rows to print."""
    return [
        PlanRow(
            trial.name,
            trial.arm.name,
            trial.repetition,
            trial.machine.box,
            " ".join(_words(trial.load)),
            trial.record.warmup_s,
            trial.record.seconds,
            trial.record.warmup_s + trial.record.seconds + TRIAL_S,
        )
        for trial in planned
    ]


def estimate_s(planned: Sequence[Trial]) -> float:
    """Seconds that recording takes in all, starts of machines included: a rough guess, training not in it."""
    return sum(row.estimate_s for row in describe(planned)) + MACHINE_S * len(by_machine(planned))


def _trial(index: int, arm: Arm, repetition: int) -> Trial:
    one = arm.experiment
    load = cast(Load, one.load)
    return Trial(index, f"{index:03d}_{arm.name}", arm, repetition, 0, load, one.record, one.machine)


def _shuffled(listed: Sequence[Arm], draw: Random) -> list[Arm]:
    """Sorted by random numbers: of `Random`, only the sequence of `random()` is promised to stay the same."""
    keys = [draw.random() for _ in listed]
    return [arm for _, _, arm in sorted(zip(keys, range(len(listed)), listed, strict=True))]


def _arm_name(kind: str, settings: dict[str, Any]) -> str:
    parts = [f"{path.rpartition('.')[2]}-{_slug(value)}" for path, value in settings.items() if path != "load.kind"]
    return "__".join([kind, *parts])[:MAX_NAME]


def _slug(value: Any) -> str:
    """A value as part of a folder's name."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:40] or "none"


def _words(load: Load) -> list[str]:
    """The load and its parameters, as they would be set on the command line."""
    told = cast(Any, load).model_dump(mode="json", exclude={"kind"})
    return [load.kind, *(f"{key}={value}" for key, value in told.items())]

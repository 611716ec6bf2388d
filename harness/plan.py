"""Experiment -> arms -> ordered trials. Touches no file; the same experiment gives the same plan on every host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count, groupby, islice
from pathlib import PurePath
from random import Random
from typing import Any, cast

from harness import spec
from harness.loads import Load
from harness.named_files import own_path
from harness.spec import Experiment, MachineSpec, RecordSpec, file_paths, kernels

# Rough costs for `--dry-run`, measured on two cores that do little else, with an emulated guest on the counted clock.
MACHINE_S = 50.0  # bringing up a machine that an earlier run kept, and taking it down
FIRST_MACHINE_S = 240.0  # more than that: provisioning the machine and keeping it
TRIAL_S = 25.0  # checks, upload, pull and reading of one trial
SLOWER = {250: 2.4, 500: 5.7}  # seconds of the host for a second of a counted guest, by cpu_speed; else about 1

MAX_NAME = 120  # folders are named after arms
AGAIN = "__again"  # ends the name of the null arm
FEWEST_BLOCKS = 6  # fewer have no interval


@dataclass(frozen=True)
class Arm:
    """One treatment: a combination of swept values, and the experiment with those values.

    `null_of`: the arm that this one is recorded like, under another name; what seems to differ between them is chance.
    """

    name: str
    settings: dict[str, Any] = field(hash=False)
    experiment: Experiment = field(hash=False)
    null_of: str | None = None


@dataclass(frozen=True)
class Trial:
    """One recording to make: arm x block.

    Neighbours share a boot if their machines (without what each trial sets) and their `boot` are equal. `late`: it is
    recorded after a later block began, because its own block lost it.
    """

    index: int
    name: str
    arm: Arm
    block: int
    load: Load
    record: RecordSpec
    machine: MachineSpec = field(hash=False)
    boot: tuple[int, bool] = (0, False)
    late: bool = False

    @property
    def seed(self) -> int:
        """Where the load's random numbers come from: the same for all arms of a block."""
        return self.arm.experiment.trials.seed + self.block


@dataclass(frozen=True)
class PlanRow:
    """One line of a printed plan; `estimate_s` does not include the start of the machine."""

    name: str
    arm: str
    block: int
    box: str
    load: str
    warmup_s: float
    record_s: float
    estimate_s: float
    kernel_settings: str
    tracer: str


def arms(experiment: Experiment) -> list[Arm]:
    """Return an arm for every combination of the swept values, the last path varying fastest; without a sweep, one.

    With `compare.null` the first arm comes again at the end.
    """
    settings = spec.combinations(experiment.sweep)
    variants = [spec.apply(experiment, values) for values in settings]
    kinds = [str(getattr(variant.load, "kind", "")) for variant in variants]
    names = [_arm_name(kind, values) for kind, values in zip(kinds, _by_own_paths(experiment), strict=True)]
    listed = [
        Arm(name if names.count(name) == 1 else f"{name}__{number:02d}", values, variant)
        for number, (name, values, variant) in enumerate(zip(names, settings, variants, strict=True))
    ]
    first = listed[0]
    null = [replace(first, name=first.name + AGAIN, null_of=first.name)] if experiment.compare.null else []
    return listed + null


def trials(experiment: Experiment, blocks: int | None = None) -> list[Trial]:
    """Return all trials in recording order, one block after the other, each with every arm once.

    The arms of a block are shuffled with the seed, so that a host that grows warm or busy over the hours affects
    every arm alike (a randomised block design), or keep the listed order (`trials.order`). The plan of fewer blocks
    begins that of more. `blocks`: how many, by default `least_blocks`.
    """
    number = least_blocks(experiment) if blocks is None else blocks
    return list(chain.from_iterable(islice(blocks_of(experiment), number)))


def untraced(planned: Sequence[Trial]) -> list[str]:
    """Return the names of the arms that are recorded without a tracer, of which nothing can be predicted."""
    return list(dict.fromkeys(trial.arm.name for trial in planned if trial.record.tracer == "none"))


def blocks_of(experiment: Experiment) -> Iterator[list[Trial]]:
    """Yield one block after the other, without end."""
    listed, random = arms(experiment), Random(experiment.trials.seed)
    several = any(arm.experiment.machine.as_booted != listed[0].experiment.machine.as_booted for arm in listed)
    digits = 4 if experiment.trials.blocks == "auto" else 3  # of the index in a name, by which trials are sorted
    for block in count():
        ordered = _shuffled(listed, random) if experiment.trials.order == "blocks" else listed
        yield [
            _trial(index, arm, block, digits, several) for index, arm in enumerate(ordered, start=block * len(listed))
        ]


def least_blocks(experiment: Experiment) -> int:
    """Return how many blocks are recorded at least; with `trials.blocks: fixed`, and at most."""
    repeat = experiment.trials.repeat
    return max(FEWEST_BLOCKS, repeat) if experiment.trials.blocks == "auto" else repeat


def boot_of(trial: Trial) -> tuple[MachineSpec, tuple[int, bool]]:
    """Return what neighbours in the plan that share one boot of a machine have in common.

    Kernel settings that are set before each trial, and set back before the next one, need no other boot.
    """
    return trial.machine.as_booted, trial.boot


def by_boot(planned: Iterable[Trial]) -> list[list[Trial]]:
    """Group neighbours in the plan that share one boot of a machine."""
    return [list(group) for _, group in groupby(planned, key=boot_of)]


def describe(planned: Sequence[Trial]) -> list[PlanRow]:
    """Return the plan as rows to print."""
    return [
        PlanRow(
            trial.name,
            trial.arm.name,
            trial.block,
            trial.machine.box,
            " ".join(_words(trial.load)),
            trial.record.warmup_s,
            trial.record.seconds,
            _recording_s(trial) + TRIAL_S,
            " ".join(trial.machine.kernel_words),
            trial.record.tracer,
        )
        for trial in planned
    ]


def _recording_s(trial: Trial) -> float:
    """Return the seconds of the host that warm-up and recording take."""
    return (trial.record.warmup_s + trial.record.seconds) * SLOWER.get(trial.machine.cpu_speed or 0, 1.0)


def estimate_s(planned: Sequence[Trial]) -> float:
    """Estimate the seconds that recording takes with kept machines, including their boots but not training."""
    return sum(row.estimate_s for row in describe(planned)) + MACHINE_S * len(by_boot(planned))


def block_s(experiment: Experiment) -> float:
    """Estimate the seconds that one block takes, with its share of the boots."""
    blocks = least_blocks(experiment)
    return estimate_s(trials(experiment, blocks)) / blocks


def _trial(index: int, arm: Arm, block: int, digits: int, several_machines: bool) -> Trial:
    """Return a trial. Where arms need machines of their own, the null arm gets one too, unlike its twin's."""
    experiment = arm.experiment
    load, machine = cast(Load, experiment.load), experiment.machine
    boot = (block if experiment.reboot == "every block" else 0, several_machines and arm.null_of is not None)
    return Trial(index, f"{index:0{digits}d}_{arm.name}", arm, block, load, experiment.record, machine, boot)


def _shuffled(listed: Sequence[Arm], random: Random) -> list[Arm]:
    """Sort by random numbers: Python promises a stable sequence only for `Random.random()`, not for `shuffle`."""
    keys = [random.random() for _ in listed]
    return [arm for _, _, arm in sorted(zip(keys, range(len(listed)), listed, strict=True))]


def _arm_name(kind: str, settings: dict[str, Any]) -> str:
    parts = [f"{path.rpartition('.')[2]}-{_slug(value)}" for path, value in _named(settings) if path != "load.kind"]
    return "__".join([kind, *parts])[:MAX_NAME]


def _by_own_paths(experiment: Experiment) -> list[dict[str, Any]]:
    """Return the combinations with files by their own names: the folders where they lie differ in the run."""
    values = spec.to_dict(experiment)
    paths = {one.keys: own_path(PurePath(one.text)).as_posix() for one in file_paths.named(values)}
    return spec.combinations(file_paths.replaced(values, paths)["sweep"])


def _named(settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings with a kernel by the name of its build, not by the folders where it lies."""
    for path, value in settings.items():
        yield path, kernels.short_name(value) if path == "machine.kernel" else value


def _slug(value: Any) -> str:
    """Turn a value into part of a folder's name; of the parts of a mix, their kinds."""
    if isinstance(value, dict):
        value = value.get("kind") or [f"{name.rpartition('.')[2]}-{_slug(part)}" for name, part in value.items()]
    if isinstance(value, int | float) and value < 0:
        return f"minus-{_slug(-value)}"
    text = "-".join(map(_slug, value)) if isinstance(value, list) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:40] or "none"


def _words(load: Load) -> list[str]:
    """Return the load with what is not its default, as a file would have it; of a mix each part after the other."""
    if len(load.parts) > 1:
        return [load.kind, *(word for part in load.parts for word in ("+", *_words(part)))]
    model = cast(Any, load)
    given = model.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
    return [load.kind, *(f"{key}={_one_line(value)}" for key, value in given.items())]


def _one_line(value: Any) -> str:
    """Return a value as YAML would have it, of a script its first line."""
    if not isinstance(value, str):
        return json.dumps(value)
    first, _, rest = value.strip().partition("\n")
    return first + " ..." if rest else first

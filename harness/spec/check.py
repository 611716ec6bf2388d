"""Plain values -> Experiment, or all problems with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from harness.counted import counted
from harness.errors import LoadError
from harness.loads.base import parameters_of
from harness.loads.mix import MOST_PARTS
from harness.spec import kernels
from harness.spec.document import Keys
from harness.spec.fields import Experiment, MachineSpec
from harness.spec.kernel_settings import RELEASES, SYSCTL_NAMES
from harness.spec.predictors import KernelOf, predictor_problems, settings_of
from harness.spec.problems import MOST, Problem, dotted, from_pydantic, shown, unknown
from harness.spec.section import Section

CLOCK: Keys = ("machine", "clock")
KERNEL: Keys = ("machine", "kernel")
LOAD: Keys = ("load",)
MIX = "mix"  # the load that holds loads


def load_kinds() -> Mapping[str, type[BaseModel]]:
    """Return the known loads: kind -> the model of its parameters, which may come from an installed package."""
    from harness.loads import KINDS

    return KINDS


def validate(
    data: dict[str, Any], kernel_of: KernelOf | None = None, *, stored: bool = False, absent_loads: bool = False
) -> tuple[Experiment | None, list[Problem]]:
    """Validate plain values, except those in `sweep`.

    `kernel_of` tells the kernel of a box, for replays; without it they fit every box. The predictors of a `stored`
    experiment are not checked, nor a load that is not installed here: its recordings can be read without them. With
    `absent_loads`, the same holds for the load alone.
    Returns the experiment (None if a section is not valid) and all problems.
    """
    parameters, problems = _build_load(data["load"], stored or absent_loads) if "load" in data else (None, [])
    stand_in = {"load": parameters or Section()} if "load" in data else {}
    try:
        experiment = Experiment.model_validate({**data, **stand_in})
    except ValidationError as error:
        return None, problems + from_pydantic(error, (), lambda path: keys_at(path, _kind(data)))
    problems += _clock_problems(experiment.machine)
    problems += _cmdline_problems(experiment.machine)
    problems += _kernel_problems(experiment.machine, stored)
    problems += _problems_of_two_names(experiment.machine)
    problems += _sched_problems(experiment, kernel_of) if kernel_of and not stored else []
    problems += [] if stored else islice(predictor_problems(experiment, kernel_of), MOST + 1)
    return (experiment if parameters else None), problems


def keys_at(path: Keys, load_kind: str | None = None) -> dict[str, str]:
    """Return the known keys of a section and their meanings; for `load`, those of `load_kind`."""
    if path[:2] == ("model", "params") and len(path) == 3:
        return settings_of(str(path[2]))
    if path == KERNEL:
        return {name: meaning for form in kernels.FORM_KINDS for name, meaning in _meanings(form).items()}
    model: Any = Experiment
    if path[:1] == LOAD:
        kinds = load_kinds()
        if load_kind is None or load_kind not in kinds:
            return {"kind": "which load"}
        model, path = kinds[load_kind], path[1:]
    for key in path:
        field = model.model_fields.get(key)
        model = _section_in(field.annotation) if field else None
        if model is None:
            return {}
    return _meanings(model)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in the type of a field, such as `Arrivals | None`; None where there is none."""
    kinds = get_args(annotation) or (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    return {name: field.description or "" for name, field in parameters_of(model).items()}


def _kind(data: dict[str, Any]) -> str | None:
    load = data.get("load")
    kind = load.get("kind") if isinstance(load, dict) else None
    return kind if isinstance(kind, str) else None


def _build_load(value: Any, absent: bool, path: Keys = LOAD) -> tuple[BaseModel | None, list[Problem]]:
    """Validate a load, or at a longer path one part of a mix."""
    kinds, name = load_kinds(), dotted(path)
    known = sorted(kind for kind in kinds if path == LOAD or kind != MIX)
    if not isinstance(value, dict):
        return None, [Problem(path, f"{name} is {shown(value)}", "a mapping with `kind`, such as {kind: nginx_ab}")]
    if "kind" not in value:
        return None, [Problem(path, f"{name}.kind is missing", f"one of: {', '.join(known)}", on_key=True)]
    kind = value["kind"]
    if not isinstance(kind, str) or (kind not in kinds and not absent):
        return None, [unknown((*path, "kind"), "load", kind if isinstance(kind, str) else shown(kind), known)]
    if kind == MIX and path != LOAD:
        what, expected = f"{name} is a mix within a mix", "its parts, in the list of the outer one"
        return None, [Problem((*path, "kind"), what, expected)]
    model = _stored_model(kind) if absent else kinds[kind]
    try:
        if kind == MIX and isinstance(value.get("parts"), list | tuple):
            return _build_mix(value, model, absent)
        # Validated as JSON: strict about types, but a list is accepted for a tuple.
        return model.model_validate_json(json.dumps(value), strict=True), []
    except ValidationError as error:
        meanings = lambda at: _meanings(model) if at == path else keys_at((*LOAD, *at[len(path) :]), kind)  # noqa: E731
        problems = from_pydantic(error, path, meanings)
        return None, [_with_example(problem, kind) if problem.path == path else problem for problem in problems]


def _with_example(problem: Problem, kind: str) -> Problem:
    """Return a problem of a load; a parameter that is missing stands in the load's example."""
    missing = problem.what.endswith(" is missing")
    return replace(problem, hint=f"`harness loads {kind} --example` has one") if missing else problem


def _build_mix(value: dict[str, Any], model: type[BaseModel], absent: bool) -> tuple[BaseModel | None, list[Problem]]:
    """Validate a mix whose parts are a list: each part as a load, then the whole. Raises ValidationError."""
    built = [_build_load(part, absent, (*LOAD, "parts", index)) for index, part in enumerate(value["parts"])]
    problems = [problem for _, found in built for problem in found]
    if not 2 <= len(built) <= MOST_PARTS:
        problems.append(
            Problem((*LOAD, "parts"), f"load.parts has {counted(len(built), 'load')}", f"2 to {MOST_PARTS}")
        )
    if problems:
        extra = (
            unknown((*LOAD, key), "key in load:", key, model.model_fields) for key in value.keys() - model.model_fields
        )
        return None, [*problems, *(replace(problem, on_key=True) for problem in extra)]
    return model.model_validate({**value, "parts": tuple(part for part, _ in built)}, strict=True), []


def _stored_model(kind: str) -> type[BaseModel]:
    """Return the model of a stored run's load, one that only shows it where its package is missing or broken."""
    from harness.loads import KINDS, StoredLoad

    with suppress(LoadError):
        return KINDS.get(kind, StoredLoad)
    return StoredLoad


def _kernel_problems(machine: MachineSpec, stored: bool) -> Iterator[Problem]:
    """Report a kernel that no box can get; the files of a `stored` experiment may be gone."""
    kernel = machine.kernel
    if kernel is None or isinstance(kernel, str):
        return
    if machine.hypervisor != "libvirt":
        what = f"machine.hypervisor is {machine.hypervisor!r}, and machine.kernel is a kernel to put into the box"
        yield Problem(KERNEL, what, "hypervisor: libvirt, which boots a kernel of its own beside the disk")
    for key in ("box", "fallback"):
        if "/" in (getattr(machine, key) or ""):
            what = f"machine.{key} is a ready-made box, and machine.kernel is a kernel to put into the box"
            yield Problem(("machine", key), what, "a box that is built here: `harness box ls` lists them")
    if not stored:
        yield from (Problem((*KERNEL, key), what, expected) for key, what, expected in kernels.problems(kernel))


def _clock_problems(machine: MachineSpec) -> Iterator[Problem]:
    """Report what the counted clock cannot be combined with: QEMU counts the instructions of one emulated CPU."""
    if machine.clock == "counted":
        no = "machine.clock is 'counted'"
        if machine.hypervisor == "virtualbox":
            yield Problem(
                CLOCK, f"{no}, and VirtualBox cannot count instructions", "hypervisor: libvirt, or clock: host"
            )
        if machine.accelerator == "kvm":
            yield Problem(CLOCK, f"{no}, and KVM cannot count instructions", "accelerator: auto or tcg, or clock: host")
        if machine.cpus > 1:
            yield Problem(CLOCK, f"{no}, and machine.cpus is {machine.cpus}", "cpus: 1, or clock: host")
    elif machine.cpu_speed is not None:
        clock = "not set" if machine.clock is None else shown(machine.clock)
        what = f"machine.cpu_speed is {machine.cpu_speed}, and machine.clock is {clock}"
        yield Problem(("machine", "cpu_speed"), what, "clock: counted beside it; only a counted CPU has a set speed")


def _cmdline_problems(machine: MachineSpec) -> Iterator[Problem]:
    """Report a kernel command line of a machine whose own boot loader has it."""
    boxes = [box for box in (machine.box, machine.fallback) if box and "/" in box]
    whose = "VirtualBox" if machine.hypervisor == "virtualbox" else f"the ready-made box {boxes[0]}" if boxes else None
    if machine.cmdline and whose:
        what = f"machine.cmdline is set, and {whose} boots with a command line of its own"
        hint = "a box of vagrant/boxes with hypervisor: libvirt; machine.sysctl and machine.sched work on every machine"
        yield Problem(("machine", "cmdline"), what, hint=hint, on_key=True)


def _problems_of_two_names(machine: MachineSpec) -> Iterator[Problem]:
    """Report settings of the scheduler that are set by their names as sysctls as well."""
    for name in machine.sched.model_dump():
        sysctl = f"kernel.sched_{SYSCTL_NAMES.get(name, name)}"
        if sysctl in machine.sysctl:
            what = f"machine.sysctl.{sysctl} is machine.sched.{name}, which is set as well"
            yield Problem(("machine", "sysctl", sysctl), what, "one of them", on_key=True)


def _sched_problems(experiment: Experiment, kernel_of: KernelOf) -> Iterator[Problem]:
    """Report settings of the scheduler that the kernel of the box, or of its fallback, does not have."""
    machine = experiment.machine
    if {"machine.box", "machine.kernel"} & {*experiment.sweep}:
        return
    for box in filter(None, (machine.box, machine.fallback)):
        release = kernel_of(box, machine.kernel)
        for name in machine.sched.model_dump() if release else ():
            first, gone = RELEASES.get(name, ((0, 0), (99, 0)))
            if release and not first <= release < gone:
                since = "since Linux {}.{}".format(*first) if release < first else "before Linux {}.{}".format(*gone)
                what = "machine.sched.{} is set, and the kernel of {} is Linux {}.{}".format(name, box, *release)
                yield Problem(("machine", "sched", name), what, f"a kernel {since}", on_key=True)

"""Plain values -> Experiment, or all problems with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.spec.document import Keys
from harness.spec.fields import Experiment, MachineSpec, Section
from harness.spec.problems import Problem, from_pydantic, shown, unknown

CLOCK: Keys = ("machine", "clock")
WrongSettings = Callable[[dict[str, Any]], str | None]  # settings of a predictor -> why it cannot be made with them


def load_kinds() -> dict[str, type[BaseModel]]:
    """Return the known loads: kind -> the model of its parameters."""
    from harness.loads import KINDS

    kinds: dict[str, Any] = dict(KINDS)
    return kinds


def validate(
    data: dict[str, Any], predictors: Collection[str] | None = None
) -> tuple[Experiment | None, list[Problem]]:
    """Validate plain values, except those in `sweep`.

    `predictors` are the known names; with a mapping to `WrongSettings` the settings of chosen ones are checked too.
    Returns the experiment (None if a section is not valid) and all problems.
    """
    parameters, problems = _build_load(data["load"]) if "load" in data else (None, [])
    stand_in = {"load": parameters or Section()} if "load" in data else {}
    try:
        experiment = Experiment.model_validate({**data, **stand_in})
    except ValidationError as error:
        return None, problems + from_pydantic(error, (), lambda path: keys_at(path, _kind(data)))
    problems += _clock_problems(experiment.machine)
    problems += _predictor_problems(experiment, predictors)
    return (experiment if parameters else None), problems


def keys_at(path: Keys, load_kind: str | None = None) -> dict[str, str]:
    """Return the known keys of a section and their meanings; for `load`, those of `load_kind`."""
    if path == ("load",):
        kinds = load_kinds()
        return _meanings(kinds[load_kind]) if load_kind in kinds else {"kind": "which load"}
    model: Any = Experiment
    for key in path:
        field = model.model_fields.get(key)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return {}
    return _meanings(model)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    return {name: field.description or "" for name, field in model.model_fields.items()}


def _kind(data: dict[str, Any]) -> str | None:
    load = data.get("load")
    kind = load.get("kind") if isinstance(load, dict) else None
    return kind if isinstance(kind, str) else None


def _build_load(value: Any) -> tuple[BaseModel | None, list[Problem]]:
    kinds = load_kinds()
    if not isinstance(value, dict):
        return None, [Problem(("load",), f"load is {shown(value)}", "a mapping with `kind`, such as {kind: nginx_ab}")]
    if "kind" not in value:
        return None, [Problem(("load",), "load.kind is missing", f"one of: {', '.join(sorted(kinds))}", on_key=True)]
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in kinds:
        return None, [unknown(("load", "kind"), "load", kind if isinstance(kind, str) else shown(kind), kinds)]
    try:
        # Validated as JSON: strict about types, but a list is accepted for a tuple.
        return kinds[kind].model_validate_json(json.dumps(value), strict=True), []
    except ValidationError as error:
        return None, from_pydantic(error, ("load",), lambda path: keys_at(path, kind))


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


def _predictor_problems(experiment: Experiment, known: Collection[str] | None) -> Iterator[Problem]:
    if known is None:
        return
    model = experiment.model
    for index, name in enumerate(model.predictors):
        if name not in known:
            yield unknown(("model", "predictors", index), "predictor", name, known)
        elif isinstance(known, Mapping):
            yield from _settings_problems(index, name, model.params.get(name, {}), known[name])
    for name in model.params:  # also of predictors that are not chosen: --set may choose others
        if name not in known:
            yield replace(unknown(("model", "params", name), "predictor", name, known), on_key=True)


def _settings_problems(index: int, name: str, settings: dict[str, Any], wrong: WrongSettings) -> Iterator[Problem]:
    if why := wrong({}):
        yield Problem(("model", "predictors", index), why)
        return
    for key, value in settings.items():
        if why := wrong({key: value}):
            yield Problem(("model", "params", name, key), f"in model.params: {why}")

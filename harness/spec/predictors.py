"""The predictors of an experiment: their names, settings and libraries, and whether a replay fits the box's kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from harness.spec.document import Keys
from harness.spec.fields import Experiment
from harness.spec.kernels import KernelForm
from harness.spec.problems import Problem, shown, unknown
from model import kernel_release
from model.kernel_release import Release
from model.predictors import EXTRAS, installed
from model.settings import SETTINGS, wrong_settings

NAMES = tuple(SETTINGS)
# A box and machine.kernel -> the release of the guest's kernel; None if only the machine can tell.
KernelOf = Callable[[str, str | KernelForm | None], Release | None]


def predictor_problems(experiment: Experiment, kernel_of: KernelOf | None = None) -> Iterator[Problem]:
    """Report what cannot be trained. Settings of predictors that are not chosen are checked too."""
    model = experiment.model
    for index, name in enumerate(model.predictors):
        path = ("model", "predictors", index)
        if name not in SETTINGS:
            yield unknown(path, "predictor", name, SETTINGS)
            continue
        if kernel_of and not {"machine.box", "machine.kernel"} & {*experiment.sweep}:
            yield from _misfits(experiment, index, kernel_of)
    for name, settings in model.params.items():
        if name in SETTINGS:
            yield from _settings_problems(name, settings)
        else:
            yield replace(unknown(("model", "params", name), "predictor", name, SETTINGS), on_key=True)


def untraced_problems(experiment: Experiment) -> Iterator[Problem]:
    """Report predictors where no arm, of a sweep any, is recorded with a tracer: there is nothing to train them on."""
    tracers = experiment.sweep.get("record.tracer", (experiment.record.tracer,))
    if experiment.model.predictors and {*tracers} == {"none"}:
        what = "model.predictors has predictors, and record.tracer is 'none': nothing is recorded to train them on"
        yield Problem(("model", "predictors"), what, "predictors: [], or tracer: perf, of one arm at least")


def missing_libraries(experiment: Experiment) -> Iterator[tuple[Keys, str, str]]:
    """Return the place of each predictor whose library is not installed, the extra that brings it, and the package."""
    for index, name in enumerate(experiment.model.predictors):
        if not installed(name):
            yield ("model", "predictors", index), *EXTRAS[name][1:]


def settings_schema(predictor: str) -> dict[str, Any]:
    """Return the JSON Schema of a predictor's settings."""
    return {**SETTINGS[predictor].model_json_schema(), "description": f"The settings of {predictor}."}


def settings_of(predictor: str) -> dict[str, str]:
    """Return the settings of a predictor and their meanings; none for an unknown one."""
    fields = SETTINGS[predictor].model_fields if predictor in SETTINGS else {}
    return {name: field.description or "" for name, field in fields.items()}


def _settings_problems(name: str, settings: dict[str, Any]) -> Iterator[Problem]:
    for wrong in wrong_settings(name, settings):
        path = ("model", "params", name, wrong.name)
        if wrong.name == "seed":
            yield Problem(path, f"seed in model.params.{name}", "seeds in model.seeds", on_key=True)
        elif not wrong.expected:
            problem = unknown(path, f"setting of {name}", wrong.name, wrong.known)
            yield replace(problem, expected=problem.expected or "no settings", on_key=True)
        else:
            yield Problem(path, f"model.params.{name}.{wrong.name} is {shown(wrong.value)}", wrong.expected)


def _misfits(experiment: Experiment, index: int, kernel_of: KernelOf) -> Iterator[Problem]:
    """Report a replay of another scheduler than that of the box or of its fallback."""
    machine, name = experiment.machine, experiment.model.predictors[index]
    kernel = kernel_of(machine.box, machine.kernel)
    fallback = kernel_of(machine.fallback, machine.kernel) if machine.fallback else None
    hint = "name the predictor that fits, or choose another box"
    if kernel and (why := kernel_release.misfit(name, kernel)):
        path, box = ("model", "predictors", index), machine.box
        yield Problem(path, f"{name} cannot replay the kernel of {box}: {_text(kernel)} {why}", hint=hint)
    elif fallback and (why := kernel_release.misfit(name, fallback)):
        what = f"{name} cannot replay the kernel of the fallback {machine.fallback}: {_text(fallback)} {why}"
        yield Problem(("machine", "fallback"), what, hint="choose another fallback, or none (null)")


def _text(release: Release) -> str:
    return "Linux {}.{}".format(*release)

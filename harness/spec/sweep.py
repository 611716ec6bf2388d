"""Swept values: their combinations, and whether each combination is a valid experiment."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice, product
from math import prod
from typing import Any

from harness.recorded_clock import DEFAULT_SPEED
from harness.spec.check import KERNEL, MIX, keys_at, validate
from harness.spec.compared_metric import metric_problems
from harness.spec.document import Keys
from harness.spec.fields import Experiment
from harness.spec.predictors import KernelOf
from harness.spec.problems import MOST, Problem, keys_of, shown, unknown

SWEEPABLE = ("machine", "load", "record")
OPEN: tuple[Keys, ...] = (("machine", "sysctl"), ("machine", "sched", "features"))  # their keys are not listed
MAX_ARMS = 1000
MAX_TEXT = 60  # letters of a value in a message


def combinations(sweep: Mapping[str, Collection[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the swept values, the last path varying fastest; without a sweep, one empty one."""
    return [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]


def changed(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values with `settings` (dotted path -> value) in place.

    Another load gets its own defaults; another box gets no fallback, and need not report the release of the old one.
    """
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    if settings.get("load.kind", data["load"]["kind"]) != data["load"]["kind"]:
        result["load"] = {"kind": settings["load.kind"]}
    if "machine.box" in settings:
        result["machine"] |= {"fallback": None, "kernel": for_other_box(result["machine"].get("kernel"))}
    for path, value in settings.items():
        *sections, key = keys_of(path)
        place: Any = result  # mappings, and the list of a mix's parts
        for section in sections:
            inside = place.get(section) or {} if isinstance(place, dict) else place[section]
            place[section] = list(inside) if isinstance(inside, list) else dict(inside)
            place = place[section]
        place[key] = value
    return result


def for_other_box(kernel: Any) -> Any:
    """Return machine.kernel for another box: a kernel that is put into it stays, a release to report does not."""
    return kernel if isinstance(kernel, Mapping) else None


def problems_of(
    experiment: Experiment, kernel_of: KernelOf | None = None, *, stored: bool = False, absent_loads: bool = False
) -> list[Problem]:
    """Return the problems of `experiment.sweep`: wrong paths, wrong values, values that do not go together.

    Of a `stored` experiment, and with `absent_loads`, the parameters of a load that is not installed here may be swept.
    """
    sweep = experiment.sweep
    found = (problem for path in sweep for problem in _path_problems(experiment, path, stored or absent_loads))
    problems = list(islice(found, MOST + 1))
    count = prod(len(values) for values in sweep.values())
    if count > MAX_ARMS:
        problems.append(Problem(("sweep",), f"sweep makes {count} arms", f"at most {MAX_ARMS}", on_key=True))
    if experiment.trials.blocks == "auto" and count == 1 and not problems:
        problems.append(_nothing_to_compare(experiment))
    if not sweep and not problems and not stored:
        return list(metric_problems(experiment))
    if problems or not sweep:
        return problems
    return list(islice(_combination_problems(experiment, kernel_of, stored, absent_loads), MOST + 1))


def _nothing_to_compare(experiment: Experiment) -> Problem:
    """Report `trials.blocks: auto` of one arm: the null arm alone does not decide on the number of blocks."""
    what = f"trials.blocks is 'auto', and there is {'one arm' if experiment.sweep else 'no sweep'}"
    expected = "a sweep that makes two arms or more, or blocks: fixed"
    return Problem(("trials", "blocks"), what, expected)


def _combination_problems(
    experiment: Experiment, kernel_of: KernelOf | None, stored: bool, absent_loads: bool
) -> Iterator[Problem]:
    """Yield the problems of each combination; also of one that means the same as an earlier one, such as 1 and 1.0."""
    bare = {**experiment.model_dump(mode="json"), "sweep": {}}
    seen: dict[str, dict[str, Any]] = {}
    for settings in combinations(experiment.sweep):
        arm, problems = validate(changed(bare, settings), kernel_of, stored=stored, absent_loads=absent_loads)
        for problem in problems:
            path = _swept_path(problem.path, settings, experiment)
            yield Problem(path, f"in sweep: {problem.what}", problem.expected, problem.hint)
        if arm is None:
            continue
        yield from () if stored else metric_problems(arm)
        earlier = seen.setdefault(_meaning(arm), settings)
        if earlier is not settings:
            yield _same(earlier, settings, experiment)


def _meaning(arm: Experiment) -> str:
    """Return a text that is equal for experiments that are carried out alike."""
    values = arm.model_dump(mode="json")
    if arm.machine.clock == "counted":
        values["machine"]["cpu_speed"] = arm.machine.cpu_speed or DEFAULT_SPEED
    return json.dumps(values, sort_keys=True)


def _same(earlier: Mapping[str, Any], settings: Mapping[str, Any], experiment: Experiment) -> Problem:
    path = next(path for path in settings if settings[path] is not earlier[path])
    what = f"in sweep: {path} {_value(settings[path])} means the same as {_value(earlier[path])}"
    return Problem(_swept_path(keys_of(path), settings, experiment), what, "different values")


def _value(value: Any) -> str:
    if value is None or isinstance(value, dict):
        text = json.dumps(value)
        return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."
    return shown(value)


def _path_problems(experiment: Experiment, path: str, absent_loads: bool) -> Iterator[Problem]:
    sweep_path, values = ("sweep", path), experiment.sweep[path]
    kinds = [kind for kind in experiment.sweep.get("load.kind", ()) if isinstance(kind, str)]
    kinds = kinds or [str(getattr(experiment.load, "kind", ""))]
    known = [name for section in SWEEPABLE for name in _paths(section, kinds)]
    if not {"load.kind", "load.parts"} & experiment.sweep.keys():
        known += _paths_of_parts(experiment)
    of_any_load = absent_loads and path.startswith("load.")  # the combinations are checked with it
    if path not in known and not of_any_load and not (keys_of(path)[:-1] in OPEN and keys_of(path)[-1]):
        yield replace(unknown(sweep_path, "path in sweep:", path, known), on_key=True)
    elif not values:
        yield Problem(sweep_path, f"sweep.{path} is an empty list", "at least one value")
    else:
        seen = set()
        for index, text in enumerate(map(json.dumps, values)):
            if text in seen:
                yield Problem(
                    (*sweep_path, index),
                    f"sweep.{path} has the value {_value(values[index])} twice",
                    "different values",
                )
            seen.add(text)


def _paths(section: str, kinds: list[str]) -> list[str]:
    """Return the dotted paths of a section; for `load`, those that all of `kinds` have."""
    shared = [set(keys_at((section,), kind)) for kind in kinds]
    keys = [key for key in keys_at((section,), kinds[0]) if all(key in keys for keys in shared)]
    sections = [key for key in keys if section == "machine" and (section, key) != KERNEL]  # a kernel is swept whole
    deeper = [f"{key}.{name}" for key in sections for name in keys_at((section, key))]
    return [f"{section}.{key}" for key in [*keys, *deeper]]


def _paths_of_parts(experiment: Experiment) -> Iterator[str]:
    """Yield the dotted paths of the parameters of the parts of a mix."""
    if getattr(experiment.load, "kind", "") == MIX:
        for index, part in enumerate(experiment.load.parts):  # type: ignore[attr-defined]
            for key in keys_at(("load",), part.kind):
                if key != "kind":
                    yield f"load.parts.{index}.{key}"


def _swept_path(path: Keys, settings: Mapping[str, Any], experiment: Experiment) -> Keys:
    """Return the path of the swept value that makes `path` wrong, or `sweep` if a combination of values does."""
    name = max((name for name in settings if path[: len(keys_of(name))] == keys_of(name)), key=len, default="")
    if path[0] == "model":  # a replay that does not fit the kernel
        name = "machine.kernel" if "machine.kernel" in settings else "machine.box"
    if name not in settings:
        return ("sweep",)
    index = next(i for i, value in enumerate(experiment.sweep[name]) if value is settings[name])  # 1 == True == 1.0
    return ("sweep", name, index)

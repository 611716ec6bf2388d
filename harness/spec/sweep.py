"""Swept values: their combinations, and whether each combination is a valid experiment."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from harness.spec.check import keys_at, validate
from harness.spec.document import Keys
from harness.spec.fields import Experiment
from harness.spec.problems import Problem, dotted, unknown

SWEEPABLE = ("machine", "load", "record")
MAX_ARMS = 1000


def combinations(sweep: Mapping[str, Collection[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the swept values, the last path varying fastest; without a sweep, one empty one."""
    return [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]


def changed(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values with `settings` (dotted path -> value) in place.

    Another load gets its own defaults; another box gets no fallback, and the kernel of its own recipe.
    """
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    if settings.get("load.kind", data["load"]["kind"]) != data["load"]["kind"]:
        result["load"] = {"kind": settings["load.kind"]}
    if "machine.box" in settings:
        result["machine"] |= {"fallback": None, "kernel": None}
    for path, value in settings.items():
        section, _, key = path.partition(".")
        result[section][key] = value
    return result


def problems_of(experiment: Experiment) -> list[Problem]:
    """Return the problems of `experiment.sweep`: wrong paths, wrong values, values that do not go together."""
    sweep = experiment.sweep
    problems = [problem for path in sweep for problem in _path_problems(experiment, path)]
    count = prod(len(values) for values in sweep.values())
    if count > MAX_ARMS:
        problems.append(Problem(("sweep",), f"sweep makes {count} arms", f"at most {MAX_ARMS}", on_key=True))
    if problems or not sweep:
        return problems
    bare = {**experiment.model_dump(mode="json"), "sweep": {}}
    return [
        Problem(
            _swept_path(problem.path, settings, experiment), f"in sweep: {problem.what}", problem.expected, problem.hint
        )
        for settings in combinations(sweep)
        for problem in validate(changed(bare, settings))[1]
    ]


def _path_problems(experiment: Experiment, path: str) -> Iterator[Problem]:
    sweep_path, values = ("sweep", path), experiment.sweep[path]
    kinds = [kind for kind in experiment.sweep.get("load.kind", ()) if isinstance(kind, str)]
    kinds = kinds or [str(getattr(experiment.load, "kind", ""))]
    known = [name for section in SWEEPABLE for name in _paths(section, kinds)]
    if path not in known:
        yield replace(unknown(sweep_path, "path in sweep:", path, known), on_key=True)
    elif not values:
        yield Problem(sweep_path, f"sweep.{path} is an empty list", "at least one value")
    elif len({json.dumps(value) for value in values}) < len(values):
        yield Problem(sweep_path, f"sweep.{path} has a value twice", "different values")


def _paths(section: str, kinds: list[str]) -> list[str]:
    """Return the dotted paths of a section; for `load`, those that all of `kinds` have."""
    shared = [set(keys_at((section,), kind)) for kind in kinds]
    return [f"{section}.{key}" for key in keys_at((section,), kinds[0]) if all(key in keys for keys in shared)]


def _swept_path(path: Keys, settings: Mapping[str, Any], experiment: Experiment) -> Keys:
    """Return the path of the swept value that makes `path` wrong, or `sweep` if a combination of values does."""
    name = dotted(path[:2])
    if name not in settings:
        return ("sweep",)
    return ("sweep", name, experiment.sweep[name].index(settings[name]))

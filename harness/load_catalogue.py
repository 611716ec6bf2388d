"""What there is to know of a load before it runs: what it does, its parameters, its packages, its own verdict."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from harness.boxes import roles
from harness.errors import HarnessError, LoadError, SpecError, UsageError
from harness.loads import KINDS, Limit
from harness.loads.example import example_of, experiment_file
from harness.loads.parameters import Parameter, parameters


@dataclass(frozen=True)
class LoadFacts:
    """The facts of one load with its default parameters; `about` are paragraphs: what runs, what it does to a CPU."""

    kind: str
    about: list[str]
    package: str  # the Python package that it comes from
    parameters: list[Parameter]
    roles: Sequence[str]
    packages: dict[str, list[str]]  # by release
    services: Sequence[str]
    keeps_cpu_busy: bool
    limits: Sequence[Limit]
    example: str  # an experiment file
    schema: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as values of JSON types."""
        return asdict(self)


def all_loads() -> tuple[list[LoadFacts], list[HarnessError]]:
    """Return the facts of every load, and why an installed package's load cannot be used."""
    known, problems = list[LoadFacts](), list[HarnessError]()
    for kind in KINDS:
        try:
            known.append(_facts(kind))
        except (LoadError, SpecError) as error:
            problems.append(error)
    return known, problems


def one_load(kind: str) -> LoadFacts:
    """Return the facts of one load. Raises UsageError where there is none of that name, LoadError for a broken one."""
    if kind not in KINDS:
        near = get_close_matches(kind, list(KINDS), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else None
        raise UsageError(f"there is no load {kind!r}", expected=f"one of: {', '.join(KINDS)}", hint=hint)
    return _facts(kind)


def _facts(kind: str) -> LoadFacts:
    model: type[BaseModel] = KINDS[kind]
    load = example_of(model)
    names = list(dict.fromkeys(role for part in load.parts for role in part.roles))
    further = {name for part in load.parts for name in part.packages}
    return LoadFacts(
        kind=kind,
        about=[" ".join(paragraph.split()) for paragraph in inspect.cleandoc(model.__doc__ or "").split("\n\n")],
        package=model.__module__.partition(".")[0],
        parameters=parameters(model),
        roles=names,
        packages={release: sorted({*known, *further}) for release, known in roles.packages_of(names).items()},
        services=list(dict.fromkeys(service for part in load.parts for service in part.services)),
        keeps_cpu_busy=load.keeps_cpu_busy,
        limits=load.limits,
        example=experiment_file(kind, model, f"{kind}.yaml"),
        schema=model.model_json_schema(),
    )

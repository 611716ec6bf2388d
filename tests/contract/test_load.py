"""The contract of every load, also of those that other packages bring.

`problems` names what is wrong with a load; wrong loads, one for each rule, show that it finds it.
"""

from __future__ import annotations

import inspect
import json
import re
import signal
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer

from harness.loads import KINDS, Limit, LoadModel, Metrics, Timing, part_names
from harness.loads.base import UNIT, parameters_of
from harness.loads.example import example_of
from harness.paths import data_dir

TIMING = Timing(seed=2026, warmup_s=5.0, seconds=50.0)
PLAIN_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
KIND = r"[a-z][a-z0-9_]*"
SHELLS = ("sh", "/bin/sh", "bash", "/bin/bash", "dash", "/bin/dash")


def problems(kind: str, model: type[Any]) -> list[str]:
    """Return what is wrong with a load, as sentences."""
    return [*_of_the_class(kind, model), *_of_the_instance(example_of(model))]


def _of_the_class(kind: str, model: type[BaseModel]) -> Iterator[str]:
    if not re.fullmatch(KIND, kind) or model.model_fields["kind"].default != kind:
        yield "its kind is not the name that it is listed under"
    if len(re.findall(r"[.:](?:\s|$)", inspect.cleandoc(model.__doc__ or ""))) < 2:
        yield "its docstring does not say in two sentences what runs and what it does to a CPU"
    if not model.model_config.get("frozen"):
        yield "it is not frozen"
    if model.model_config.get("extra") != "forbid":
        yield "it takes unknown keys"
    for name, field in parameters_of(model).items():
        if name != "kind" and not field.description:
            yield f"its parameter {name} has no description"
        if field.is_required() and not field.examples:
            yield f"its parameter {name} has neither a default nor an example"


def _of_the_instance(load: Any) -> Iterator[str]:
    stored = json.loads(json.dumps(load.model_dump(mode="json")))
    if type(load).model_validate_json(json.dumps(stored), strict=True) != load:
        yield "it is another one when it is written as JSON and read again"
    if len(load.parts) > 1:
        for part in load.parts:
            yield from _of_the_instance(part)
        return
    yield from _of_what_is_installed(load)
    yield from _of_what_runs(load)
    yield from _of_what_it_says(load)


def _of_what_is_installed(load: Any) -> Iterator[str]:
    folders = [data_dir("ansible") / "roles", *KINDS.role_folders()]
    for role in load.roles:
        if not any((folder / role / "tasks" / "main.yml").is_file() for folder in folders):
            yield f"there is no role {role}"
    for service in load.services:
        if not re.fullmatch(UNIT, service):
            yield f"its service {service!r} is no name of a unit"


def _of_what_runs(load: Any) -> Iterator[str]:
    for name in ("command", "prepare", "ready"):
        argv = getattr(load, name)()
        if argv is None and name != "command":
            continue
        if not (isinstance(argv, list) and argv and all(isinstance(word, str) for word in argv) and argv[0]):
            yield f"{name}() is no argv"
    if load.stop_signal not in signal.Signals.__members__:
        yield "its stop signal is none"
    if load.command()[0] in SHELLS and not load.stops_all:
        yield "its command is a shell, which passes no signal on: stops_all = True"
    files = load.files(TIMING)
    if files != load.files(TIMING):
        yield "files() gives other files the second time; draw with random.Random(timing.seed)"
    if not all(re.fullmatch(PLAIN_NAME, name) and isinstance(text, str) for name, text in files.items()):
        yield "files() must be texts by plain names"


def _of_what_it_says(load: Any) -> Iterator[str]:
    if load.parse("", TIMING) != {}:
        yield "parse() measures something where nothing was printed"
    for limit in load.limits:
        if limit.at_least is None and limit.at_most is None:
            yield f"its limit of {limit.metric} bounds nothing"
        if not limit.why:
            yield f"its limit of {limit.metric} does not say why"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_load_keeps_the_contract(kind: str) -> None:
    assert problems(kind, KINDS[kind]) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_load_does_not_change_and_takes_no_unknown_key(kind: str) -> None:
    load = example_of(KINDS[kind])
    with pytest.raises(ValidationError):
        load.kind = "other"
    with pytest.raises(ValidationError):
        KINDS[kind].model_validate({**load.model_dump(mode="json"), "nonsense": 1})


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"mix"}))
def test_a_load_can_be_a_part_of_a_mix_also_twice(kind: str) -> None:
    one = example_of(KINDS[kind]).model_dump(mode="json")
    mix = KINDS["mix"].model_validate_json(json.dumps({"kind": "mix", "parts": [one, one]}), strict=True)
    assert part_names(mix.parts) == [kind, f"{kind}-2"]
    assert all(limit.metric.startswith((f"{kind}.", f"{kind}-2.")) for limit in mix.limits)
    assert mix.parse("", TIMING) == {}


class Good(LoadModel):
    """It sleeps.

    Nothing happens to the CPU.
    """

    kind: Literal["good"] = "good"
    count: int = Field(1, description="how often, without a unit")

    def command(self) -> list[str]:
        return ["sleep", "infinity"]


class Undescribed(Good):
    __doc__ = Good.__doc__
    count: int = 1


class Silent(Good):
    """It sleeps."""


class Loose(Good):
    __doc__ = Good.__doc__
    model_config = ConfigDict(frozen=False, extra="allow")


class Roleless(Good):
    __doc__ = Good.__doc__
    roles: ClassVar[tuple[str, ...]] = ("no_such_role",)


class Serviceless(Good):
    __doc__ = Good.__doc__
    services: ClassVar[tuple[str, ...]] = ("nginx; rm -rf /",)


class Shellful(Good):
    __doc__ = Good.__doc__

    def command(self) -> Any:
        return "sleep infinity"


class Unready(Good):
    __doc__ = Good.__doc__

    def ready(self) -> list[str] | None:
        return []


class Unstoppable(Good):
    __doc__ = Good.__doc__
    stop_signal: ClassVar[str] = "SIGNONE"


class Deaf(Good):
    __doc__ = Good.__doc__

    def command(self) -> list[str]:
        return ["sh", "-c", "sleep infinity; echo done"]


class Moody(Good):
    __doc__ = Good.__doc__
    drawn: ClassVar[list[int]] = []

    def files(self, timing: Timing) -> dict[str, str]:
        self.drawn.append(0)
        return {"times": str(len(self.drawn))}


class Escaping(Good):
    __doc__ = Good.__doc__

    def files(self, timing: Timing) -> dict[str, str]:
        return {"../../etc/passwd": ""}


class Inventive(Good):
    __doc__ = Good.__doc__

    def parse(self, output: str, timing: Timing) -> Metrics:
        return {"requests_completed": output.count("\n")}


class Boundless(Good):
    __doc__ = Good.__doc__

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (Limit("operations", "it did nothing"), Limit("seconds", "", at_least=1))


class Forgetful(Good):
    __doc__ = Good.__doc__
    word: str = Field("drawn", description="a word")

    @field_serializer("word")
    def _first_letter(self, word: str) -> str:
        return word[:1]


class Exampleless(Good):
    __doc__ = Good.__doc__
    word: str | None = Field(description="a word")


WRONG = {
    Undescribed: "its parameter count has no description",
    Exampleless: "its parameter word has neither a default nor an example",
    Silent: "its docstring does not say in two sentences what runs and what it does to a CPU",
    Loose: "it is not frozen; it takes unknown keys",
    Roleless: "there is no role no_such_role",
    Serviceless: "its service 'nginx; rm -rf /' is no name of a unit",
    Shellful: "command() is no argv",
    Unready: "ready() is no argv",
    Unstoppable: "its stop signal is none",
    Deaf: "its command is a shell, which passes no signal on: stops_all = True",
    Forgetful: "it is another one when it is written as JSON and read again",
    Moody: "files() gives other files the second time; draw with random.Random(timing.seed)",
    Escaping: "files() must be texts by plain names",
    Inventive: "parse() measures something where nothing was printed",
    Boundless: "its limit of operations bounds nothing; its limit of seconds does not say why",
}


def test_a_good_load_has_no_problem() -> None:
    assert problems("good", Good) == []


@pytest.mark.parametrize("model", WRONG, ids=lambda model: model.__name__)
def test_a_wrong_load_is_told_what_is_wrong(model: type[Any]) -> None:
    assert "; ".join(problems("good", model)) == WRONG[model]


def test_a_load_under_another_name_is_told() -> None:
    assert problems("other", Good) == ["its kind is not the name that it is listed under"]

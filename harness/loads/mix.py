"""Several loads at once, each with parameters of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from harness.loads.base import Limit, Load, Metrics, Timing, part_names

MOST_PARTS = 20
EXAMPLE = [{"kind": "nginx_ab", "concurrency": 2}, {"kind": "stress_ng", "stressor": "cpu", "workers": 1}]


def _part(value: Any) -> BaseModel:
    """Return one part; the reader of experiment files says better where one is wrong. Raises ValueError."""
    if isinstance(value, BaseModel):
        return value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind == "mix" or kind not in Mix.part_kinds:
        raise ValueError("a mapping with `kind`, a load that is no mix")
    try:
        return Mix.part_kinds[kind].model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise ValueError(f"a load {kind} with right parameters: {error}") from None


Part = Annotated[Any, PlainValidator(_part), WithJsonSchema({"type": "object", "required": ["kind"]})]


class Mix(BaseModel):
    """Several loads run at once, each as a systemd unit of its own, such as a web server beside a task that computes.

    They compete for the CPU: where the kernel schedules by groups, first unit against unit, then within each. A trial
    is usable if each part ran to the end and keeps its own limits, and if no CPU was idle where one part is to keep it
    busy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part_kinds: ClassVar[Mapping[str, type[BaseModel]]] = {}  # `harness.loads.KINDS`, which it sets
    role_folder: ClassVar[Path | None] = None  # each part has its own
    stop_signal: ClassVar[str] = "SIGINT"  # each part has its own
    stops_all: ClassVar[bool] = False  # likewise

    kind: Literal["mix"] = "mix"
    parts: tuple[Part, ...] = Field(
        min_length=2,
        max_length=MOST_PARTS,
        description="The loads that run at once: each with `kind` and its parameters, as under `load`; no mix.",
        examples=[EXAMPLE],
    )

    @property
    def roles(self) -> tuple[str, ...]:
        """The Ansible roles of all parts."""
        return self._of_all(lambda part: part.roles)

    @property
    def packages(self) -> tuple[str, ...]:
        """The further Debian packages of all parts."""
        return self._of_all(lambda part: part.packages)

    @property
    def services(self) -> tuple[str, ...]:
        """The services of all parts; one that two of them need runs once."""
        return self._of_all(lambda part: part.services)

    @property
    def keeps_cpu_busy(self) -> bool:
        """Whether one of the parts leaves no CPU idle."""
        return any(part.keeps_cpu_busy for part in self.parts)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of all parts, each under the name of its part."""
        return tuple(
            replace(limit, metric=f"{name}.{limit.metric}")
            for name, part in zip(part_names(self.parts), self.parts, strict=True)
            for limit in part.limits
        )

    @property
    def measures(self) -> tuple[str, ...] | None:
        """What all parts measure, each under the name of its part; None where one of them does not know."""
        known: list[tuple[str, ...] | None] = [getattr(part, "measures", None) for part in self.parts]
        if None in known:
            return None
        named = zip(part_names(self.parts), known, strict=True)
        return tuple(f"{name}.{key}" for name, keys in named for key in keys or ())

    def command(self) -> list[str]:
        """Raise: the guest runs the commands of the parts."""
        raise NotImplementedError("a mix runs the commands of its parts")

    def prepare(self) -> list[str] | None:
        """Return None: each part prepares itself."""
        return None

    def ready(self) -> list[str] | None:
        """Return None: each part says itself when it can start."""
        return None

    def files(self, timing: Timing) -> dict[str, str]:
        """Return nothing: each part has its own."""
        return {}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read each part's own output; its metrics begin with its name, as in `nginx_ab.requests_per_s`."""
        outputs = _split(output, part_names(self.parts))
        return {
            f"{name}.{key}": value
            for index, (name, part) in enumerate(zip(part_names(self.parts), self.parts, strict=True))
            for key, value in part.parse(outputs[name], timing.of_part(index)).items()
        }

    def _of_all(self, values: Callable[[Load], Sequence[str]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for part in self.parts for value in values(part)))


def _split(output: str, names: Sequence[str]) -> dict[str, str]:
    """Return the output of each part, which follows a line with its name; empty where that line is missing."""
    outputs, rest = dict.fromkeys(names, ""), "\n" + output
    for name, following in zip(names, [*names[1:], None], strict=True):
        _, _, rest = rest.partition(f"\n==> {name} <==\n")
        end = -1 if following is None else rest.find(f"\n==> {following} <==\n")
        outputs[name], rest = (rest, "") if end < 0 else (rest[: end + 1], rest[end:])
    return outputs

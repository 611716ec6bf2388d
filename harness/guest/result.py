"""The JSON that the guest script prints or writes, checked: the guest is not trusted to have run that script.

Everything that reads guest.json relies on these types, lengths and ranges. A key that is added to `trial_script.py`,
`trial_facts.py` or `trial_tasks.py` is added here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from harness.errors import TrialError
from harness.trace.tracepoint.comm import to_text

MOST_KEYS = 16384  # of one JSON object


def _name_in_tables(comm: Any) -> Any:
    """Return a task's name as tables have it: lone surrogates stand for bytes of it that are not UTF-8."""
    return to_text(comm.encode("utf-8", "surrogateescape")) if isinstance(comm, str) else comm


Line = Annotated[str, Field(max_length=4096)]
Text = Annotated[str, Field(max_length=65536)]
Comm = Annotated[str, Field(max_length=200), BeforeValidator(_name_in_tables)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=1 << 53)]
Integer = Annotated[int, Field(ge=-(1 << 31), le=1 << 31)]
Seconds = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e18, le=1e18, allow_inf_nan=False)]
Lines = Annotated[dict[Line, Text], Field(max_length=MOST_KEYS)]
Metrics = Annotated[dict[Line, Count | Number | Line], Field(max_length=MOST_KEYS)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Answer(BaseModel):
    """What every answer of the script has, also that of a trial that failed."""

    model_config = ConfigDict(strict=True, extra="ignore")

    ok: bool
    stage: Line = "start"
    error: Text = "no reason given"
    retryable: bool = True


class Clocks(_Checked):
    """The guest's clocks at one moment."""

    monotonic_s: Seconds
    boottime_s: Seconds
    realtime_s: Seconds


class Recording(_Checked):
    """How perf ran, or without a tracer what waited in its place."""

    argv: Annotated[list[Text], Field(max_length=100)]
    started_at: Seconds
    wall_s: Seconds
    tracer_cpu_s: Seconds | None
    clock_before: Clocks
    clock_after: Clocks
    cpu_ticks_before: Annotated[dict[Line, Count], Field(max_length=20)]
    cpu_ticks_after: Annotated[dict[Line, Count], Field(max_length=20)]
    switches: Count | None = None  # absent until version 0.3
    connections: Count | None = None  # absent until version 0.3


class Task(_Checked):
    """One task of the guest."""

    tid: Integer
    tgid: Integer
    ppid: Integer
    nice: Integer
    policy: Integer
    rt_priority: Integer
    kthread: bool
    comm: Comm
    autogroup: Line | None = None
    cgroup: Line | None = None


class Tasks(_Checked):
    """The tasks at both ends of the recording."""

    before: Annotated[list[Task], Field(max_length=4000)]
    after: Annotated[list[Task], Field(max_length=4000)]


class KernelSetting(_Checked):
    """A kernel setting of the experiment: its file in the guest, its value before any trial, the wanted one, and the
    one after the recording."""

    name: Line
    path: Line
    before: Line | None
    wanted: Line
    actual: Line


class KernelConfig(_Checked):
    """The configuration of the guest's kernel: where it is, its hash, and the options that concern the scheduler."""

    path: Line
    sha256: Sha256
    options: Annotated[dict[Line, Line], Field(max_length=2000)]


class Facts(_Checked):
    """The guest's machine, software and tasks; earlier versions did not write the keys that have a default."""

    hostname: Line
    kernel: Line
    kernel_version: Line
    kernel_cmdline: Line
    cpus: Annotated[int, Field(ge=1, le=8192)]
    cpu_model: Line
    memory_kb: Count
    memory_available_kb: Count
    clocksource: Line | None
    loadavg: Line | None
    python: Line
    perf_version: Line
    packages: Lines
    scheduler: Lines
    tasks: Tasks
    cgroups: Annotated[
        dict[Line, Annotated[dict[Literal["shares", "weight"], Count], Field(max_length=2)]],
        Field(max_length=MOST_KEYS),
    ]
    cpu_flags: Line = ""
    cpu_governor: Line | None = None
    cpu_idle: Line | None = None
    kernel_config: KernelConfig | None = None
    mitigations: Annotated[dict[Line, Line], Field(max_length=200)] = Field(default_factory=dict)
    transparent_hugepages: Line | None = None
    tainted: Line | None = None
    tasks_left_out: dict[Literal["before", "after"], Count] | None = None


class TrialResult(_Checked):
    """result.json of a trial that ended well."""

    schema_number: Annotated[Literal[1], Field(alias="schema")]
    name: Line
    boot_id: Line | None
    ok: Literal[True]
    stage: Literal["done"]
    stages: Annotated[dict[Line, Seconds], Field(max_length=20)]
    ssh_connections_before: Count
    ssh_connections_after: Count
    recording: Recording
    loads: Annotated[dict[Line, Annotated[dict[Line, Line], Field(max_length=20)]], Field(max_length=100)] | None = None
    load: Annotated[dict[Line, Line], Field(max_length=20)] | None = None  # instead of `loads`, until version 0.2
    facts: Facts
    kernel_settings: Annotated[list[KernelSetting], Field(max_length=300)] = Field(default_factory=list)
    sha256: dict[Literal["perf.data", "load.txt", "perf.log"], Sha256]


Checked = TypeVar("Checked")


def parse(text: str, where: str) -> Any:
    """Return the JSON value of a text. Raises TrialError, also for NaN, a key given twice, and too much of anything."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except RecursionError:
        raise _wrong("it is nested too deeply", where) from None
    except ValueError as error:
        raise _wrong(str(error), where) from None


def answer(value: Any, where: str) -> Answer:
    """Check the part that every answer has. Raises TrialError that names what is wrong."""
    return _checked(TypeAdapter(Answer), value, where)


def trial_result(value: Any, where: str) -> dict[str, Any]:
    """Check the result of a trial and return it with its tasks named as tables do. Raises TrialError."""
    return _checked(TypeAdapter(TrialResult), value, where).model_dump(by_alias=True, exclude_unset=True)


def metrics(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check what a load's output says. Raises TrialError."""
    return dict(_checked(TypeAdapter[Any](Metrics), dict(value), where, strict=True))


def _checked(adapter: TypeAdapter[Checked], value: Any, where: str, strict: bool | None = None) -> Checked:
    try:
        return adapter.validate_python(value, strict=strict)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))[:200]
        raise _wrong(f"{key or 'its content'}: {first['msg'][:200]}", where) from None


def _wrong(why: str, where: str) -> TrialError:
    return TrialError(f"the guest's answer is not one of the guest script: {why}", where=where)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object whose keys are given once."""
    if len(pairs) > MOST_KEYS:
        raise ValueError(f"an object of {len(pairs)} keys; expected at most {MOST_KEYS}")
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key is given twice")
    return content

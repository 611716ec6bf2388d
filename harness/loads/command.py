"""A command or a script of the user's own, without a line of Python."""

from __future__ import annotations

import re
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from harness.loads.base import PACKAGE, UNIT, Limit, Load, Metrics, Timing

MOST_SCRIPT = 50_000  # letters
WHOLE, NUMBER = re.compile(r"[-+]?[0-9]{1,15}"), re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
MOST_TEXT = 200  # letters of a result that is no number


def _with_one_group(pattern: str) -> str:
    """Return a regular expression that has one group. Raises ValueError."""
    try:
        groups = re.compile(pattern, re.MULTILINE).groups
    except re.error as error:
        raise ValueError(f"a regular expression that is one: {error}") from None
    if groups != 1:
        raise ValueError(
            f"a regular expression with one group, for the value; it has {groups} (use (?:...) for others)"
        )
    return pattern


Script = Annotated[str, StringConstraints(min_length=1, max_length=MOST_SCRIPT, pattern=r"\S")]
Package = Annotated[str, StringConstraints(pattern=f"^{PACKAGE}$", max_length=100)]
Service = Annotated[str, StringConstraints(pattern=f"^{UNIT}$", max_length=100)]
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_with_one_group)]


class MetricLimit(BaseModel):
    """What a result must be in a usable trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_least: float | None = Field(None, description="The smallest value of a usable trial.")
    at_most: float | None = Field(None, description="The largest value of a usable trial.")

    @model_validator(mode="after")
    def _has_a_bound(self) -> Any:
        if self.at_least is None and self.at_most is None:
            raise ValueError("`at_least` or `at_most`, or both")
        return self


class Command(BaseModel):
    """A shell command, or a script, of your own runs until it is stopped.

    What it does to a CPU is for you to say. A trial in which a CPU is idle is not usable, unless `keeps_cpu_busy` is
    false.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True)

    roles: ClassVar[tuple[str, ...]] = ()
    role_folder: ClassVar[Path | None] = None
    stops_all: ClassVar[bool] = True  # a shell does not pass a signal on

    kind: Literal["command"] = "command"
    run: Script = Field(
        description="A command of the shell, or a whole script, which may begin with `#!`. It must not end before the "
        "recording does.",
        examples=["while :; do seq 20000 | sort -n | md5sum; done"],
    )
    packages: tuple[Package, ...] = Field((), max_length=100, description="Debian packages that it needs.")
    services: tuple[Service, ...] = Field(
        (), max_length=20, description="Services of systemd that run during a trial only, such as redis-server.service."
    )
    prepare_script: Script | None = Field(
        None,
        alias="prepare",
        description="A command or script that is run once before each trial, such as to fill a table.",
    )
    ready_script: Script | None = Field(
        None,
        alias="ready",
        description="A command or script that succeeds once the load can start; asked for 60 s, after `prepare`.",
    )
    results: dict[MetricName, Pattern] = Field(
        {},
        max_length=50,
        description="What it measured: name -> regular expression with one group, which is read from its output; `^` "
        "and `$` are the ends of a line, and the last match counts. Names that end in _per_s, and latency_p99_ms and "
        "the like, are shown beside the figures of the scheduler (docs/loads.md).",
    )
    result_limits: dict[MetricName, MetricLimit] = Field(
        {},
        alias="limits",
        max_length=50,
        description="What the results must be in a usable trial: name -> at_least, at_most.",
    )
    stop_signal: Literal["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"] = Field(
        "SIGINT",
        description="The signal that ends all its processes after the recording. What a script starts with `&` ignores "
        "SIGINT: there, take SIGTERM.",
    )
    keeps_cpu_busy: bool = Field(True, description="Whether a trial with an idle CPU is not usable.")

    @model_validator(mode="after")
    def _limits_are_results(self) -> Any:
        unknown = [name for name in self.result_limits if name not in self.results]
        if unknown:
            raise ValueError(f"limits of names in `results`; {unknown[0]} is none")
        return self

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What the experiment file asks of the results."""
        why = "load.limits asks for it; see load.txt for what it printed"
        return tuple(Limit(name, why, limit.at_least, limit.at_most) for name, limit in self.result_limits.items())

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of its results, of which those of rates and latencies can be compared."""
        return tuple(self.results)

    @property
    def parts(self) -> tuple[Load, ...]:
        """Return this load alone."""
        return (self,)

    def command(self) -> list[str]:
        """Return the argv that runs the script."""
        return _argv("run", self.run)

    def prepare(self) -> list[str] | None:
        """Return the argv of the script that prepares it."""
        return _argv("prepare", self.prepare_script) if self.prepare_script else None

    def ready(self) -> list[str] | None:
        """Return the argv of the script that succeeds once it can start."""
        return _argv("ready", self.ready_script) if self.ready_script else None

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the scripts."""
        scripts = {"run": self.run, "prepare": self.prepare_script, "ready": self.ready_script}
        return {name: text if text.endswith("\n") else text + "\n" for name, text in scripts.items() if text}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the last match of each regular expression, as a number where it is one."""
        metrics: Metrics = {}
        for name, pattern in self.results.items():
            values = [match[1] for match in re.finditer(pattern, output, re.MULTILINE) if match[1] is not None]
            if values:
                metrics[name] = _value(values[-1])
        return metrics


def _argv(name: str, script: str) -> list[str]:
    """Return the argv of a script as the kernel makes it: an interpreter, at most one argument, and its file."""
    first = script.split("\n", 1)[0]
    interpreter = first[2:].strip().split(maxsplit=1) if first.startswith("#!") else []
    return [*(interpreter or ["/bin/sh"]), name]


def _value(text: str) -> Any:
    text = text.strip()
    if WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if NUMBER.fullmatch(text) else inf
    return number if isfinite(number) else text[:MOST_TEXT]

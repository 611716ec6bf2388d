"""The seam of a load: what the rest of the harness sees of one, and a base class that leaves little to write.

The docstring of `harness.loads` says how to add one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Metrics = dict[str, float | int | str]
KIND = "^[a-z][a-z0-9_]{0,39}$"  # names folders of trials
PACKAGE = "[a-z0-9][a-z0-9+.-]*[a-z0-9+.]"  # a Debian package by name alone; apt would remove `name-`
UNIT = r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]*\.(service|socket)"  # of systemd
RECORDING_FILE = "/run/harness-recording"  # in the guest: when the recording begins, in seconds since 1970
LATENCIES = ("latency_mean_ms", "latency_p50_ms", "latency_p99_ms")
MARGIN_S = 300.0  # for what the guest does before and after, on a machine that the load keeps busy
PART_SEED = 1_000_003  # between the seeds of two parts: far from those of other blocks


@dataclass(frozen=True)
class Timing:
    """The trial that a load runs for: where its random numbers come from, and how long it must last."""

    seed: int  # trials.seed + block: the same for all arms of a block
    warmup_s: float
    seconds: float

    @property
    def longest_s(self) -> float:
        """The seconds that a load must be able to run: its start, warm-up, the recording, and a margin."""
        return self.warmup_s + 2 * self.seconds + MARGIN_S

    def of_part(self, index: int) -> Timing:
        """Return the timing of one of several parts, which draw different numbers; the first is like a load alone."""
        return replace(self, seed=self.seed + PART_SEED * index)


@dataclass(frozen=True)
class Limit:
    """What a metric must be in a usable trial; a missing metric fails it.

    `why`: what a failure means and what to do. `retryable`: another attempt may meet it.
    """

    metric: str
    why: str
    at_least: float | None = None
    at_most: float | None = None
    retryable: bool = True


class Load(Protocol):
    """One load with its parameters. `LoadModel` says what each member means, and has a default for most."""

    @property
    def kind(self) -> str:
        """The name of the load in an experiment file."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The Ansible roles that install it."""

    @property
    def role_folder(self) -> Path | None:
        """The folder of its roles; None for ansible/roles."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Further Debian packages that it needs."""

    @property
    def services(self) -> tuple[str, ...]:
        """The systemd units of its servers."""

    @property
    def stop_signal(self) -> str:
        """The signal that ends it so that it prints its statistics."""

    @property
    def stops_all(self) -> bool:
        """Whether that signal goes to all its processes."""

    @property
    def keeps_cpu_busy(self) -> bool:
        """Whether a trial with an idle CPU fails its verdict."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What its metrics must be in a usable trial."""

    @property
    def measures(self) -> tuple[str, ...] | None:
        """The rates and latencies that `parse` may return; None where only a trial shows them."""

    @property
    def parts(self) -> tuple[Load, ...]:
        """The loads that run at once."""

    def command(self) -> list[str]:
        """Return the argv that the guest runs until `stop_signal`."""

    def prepare(self) -> list[str] | None:
        """Return the argv that is run once before each trial."""

    def ready(self) -> list[str] | None:
        """Return the argv that exits 0 once the load can start."""

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the texts that the load reads in its work folder, by name."""

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return what the load measured, from its whole output."""


class LoadModel(BaseModel):
    """Base class of loads: a frozen pydantic model of one load's parameters, `kind` among them.

    The docstring of a load has two or three sentences: first what runs, then what it does to a CPU. Each parameter has
    a description with its unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str  # each load narrows it: Literal["..."] = "..."

    roles: ClassVar[tuple[str, ...]] = ()
    role_folder: ClassVar[Path | None] = None  # where the roles of a third party's load are
    services: ClassVar[tuple[str, ...]] = ()  # installed disabled; started for the trial only, stopped after it
    stop_signal: ClassVar[str] = "SIGINT"
    stops_all: ClassVar[bool] = False  # the signal goes to its first process; the rest is killed once that has ended
    measures: ClassVar[tuple[str, ...] | None] = None  # the rates and latencies of `parse`; None: a trial shows them

    @property
    def packages(self) -> tuple[str, ...]:
        """Further Debian packages that it needs; those of a fixed load are listed by its role."""
        return ()

    @property
    def keeps_cpu_busy(self) -> bool:
        """Whether a trial with an idle CPU fails its verdict."""
        return True

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The load's own verdict on itself: what its metrics must be in a usable trial."""
        return ()

    @property
    def parts(self) -> tuple[Load, ...]:
        """The loads that run at once: this one; only `mix` has several."""
        return (self,)

    def command(self) -> list[str]:
        """Return the argv that runs in the trial's work folder until `stop_signal`."""
        raise NotImplementedError(f"{type(self).__name__}.command")

    def prepare(self) -> list[str] | None:
        """Return the argv that is run once before each trial, after the services started; None where nothing is."""
        return None

    def ready(self) -> list[str] | None:
        """Return the argv that exits 0 once the load can start, retried for 60 s; None where it can start at once."""
        return None

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the texts that are put into the work folder before `prepare`, by name."""
        return {}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return what the load measured, from its whole output; empty where it printed no statistics.

        Keys that mean the same in every load: the counts `requests_completed`, `requests_failed`, `responses_non_2xx`
        and `operations`; `seconds`, the load's running time; the rates `requests_per_s` and whatever else ends in
        `_per_s`; the latencies `latency_mean_ms`, `latency_p50_ms` and `latency_p99_ms`. With arrivals: `arrivals` (due
        while it was recorded), `arrivals_unanswered`, and `late_p99_ms` (how late requests were sent).
        """
        return {}


class StoredLoad(LoadModel):
    """A load of a stored run whose package is not installed here: its parameters can be read, but it cannot run."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(pattern=KIND)


def parameters_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a load by their keys in an experiment file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def part_names(parts: Sequence[Load]) -> list[str]:
    """Return the name of each part, with which its metrics begin: its kind; `KIND-2` for a second of the same kind."""
    kinds = [part.kind for part in parts]
    earlier = [kinds[:index].count(kind) for index, kind in enumerate(kinds)]
    return [f"{kind}-{count + 1}" if count else kind for kind, count in zip(kinds, earlier, strict=True)]

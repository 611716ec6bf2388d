"""The sections of an experiment file: every key with its type, default, bounds, unit and meaning."""

from __future__ import annotations

from math import isclose
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, SerializeAsAny, field_validator

from harness.kernel_files import RELEASE
from harness.spec import percentage
from harness.spec.kernel_settings import Cmdline, SchedSpec, Sysctls, words
from harness.spec.kernels import KernelForm, as_form
from harness.spec.section import Section

NAME = r"^[a-z0-9][a-z0-9_-]*$"
BOX = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$"
MAX_INT = 2**31 - 1
MAX_BLOCKS = 1000
MAX_COUNT = 2**53  # larger numbers are not exact in every reader of JSON


MIN_SHARE = 0.01  # of a split: a smaller part of a recording has no events to train, validate or test on

Seed = Annotated[int, Field(ge=0, le=MAX_INT)]
Release = Annotated[str, Field(pattern=f"^{RELEASE}$", max_length=100)]
Share = Annotated[float, Field(ge=MIN_SHARE, le=1 - 2 * MIN_SHARE)]


class MachineSpec(Section):
    """Where trials run: a guest image (box) and the hypervisor that boots it."""

    provider: Literal["vagrant"] = Field("vagrant", description="Program that starts the machine.")
    hypervisor: Literal["libvirt", "virtualbox"] = Field("libvirt", description="Hypervisor that Vagrant uses.")
    box: str = Field(
        pattern=BOX,
        max_length=100,
        description="The guest image: a recipe in vagrant/boxes (`harness box ls`), or a ready-made box such as "
        "bento/ubuntu-18.04.",
    )
    fallback: str | None = Field(
        None,
        pattern=BOX,
        max_length=100,
        description="The box to use, with a warning, if `box` cannot be built or does not come up; null forbids that.",
    )
    cpus: int = Field(1, ge=1, le=256, description="Virtual CPUs of the guest.")
    memory_mb: int = Field(1024, ge=256, le=1_048_576, description="Memory of the guest in MiB.")
    accelerator: Literal["auto", "kvm", "tcg"] = Field(
        "auto", description="kvm: on the host's CPU; tcg: emulated, slow; auto: kvm if a guest has booted with it here."
    )
    clock: Literal["host", "counted"] | None = Field(
        None,
        description="What the guest's time follows: the host's clock, or the number of instructions that it executed "
        "(docs/clock.md); null: counted if the machine is emulated and has one CPU, else host.",
    )
    cpu_speed: Literal[125, 250, 500] | None = Field(
        None, description="With the counted clock: instructions per microsecond; null is 125."
    )
    kernel: Annotated[Release | KernelForm | None, BeforeValidator(as_form)] = Field(
        None,
        description="The guest's kernel: null, the one of the box's recipe; a release, which the box's own kernel must "
        "report (`uname -r`); or the kernel to put into the box: {image, modules}, {deb} or {suite, package} "
        "(docs/kernels.md).",
    )
    cmdline: Cmdline = Field(
        (),
        description="Words added to the kernel's command line, such as [nohz=off, preempt=full].",
    )
    sysctl: Sysctls = Field(
        default_factory=dict,
        description="Kernel settings by their sysctl names, such as {kernel.sched_rt_runtime_us: -1}, set before each "
        "trial and read back.",
    )
    sched: SchedSpec = Field(
        default_factory=SchedSpec, description="Settings of the scheduler, set before each trial and read back."
    )

    @property
    def as_booted(self) -> MachineSpec:
        """The machine without the kernel settings that each trial sets."""
        return self.model_copy(update={"sysctl": {}, "sched": SchedSpec()})

    @property
    def kernel_words(self) -> list[str]:
        """Everything that is set in the kernel, in short words."""
        return words(self.cmdline, self.sysctl, self.sched)


class RecordSpec(Section):
    """How long and how one trial is recorded."""

    warmup_s: float = Field(5.0, ge=0, le=3600, description="Seconds the load runs before the recording starts.")
    seconds: float = Field(50.0, gt=0, le=86_400, description="Seconds recorded.")
    # The default holds a quarter of a second of 500,000 events/s, while perf waits for its turn on a full CPU.
    buffer_kb: int = Field(
        16_384,
        ge=4,
        le=1_048_576,
        description="perf's buffer per CPU in KiB, a power of two (`perf record -m`); raise it if events are lost.",
    )
    tracer: Literal["perf", "none"] = Field(
        "perf",
        description="perf records the scheduler. none records nothing, and runs the same load for the same time: to "
        "measure what perf costs it.",
    )

    @field_validator("buffer_kb")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("a power of two, such as 512 or 4096")
        return value


def _as_fraction(value: Any) -> Any:
    """Return a percentage such as "2 %" as the share that it is; everything but text as it is."""
    return percentage.share_of(value) if isinstance(value, str) else value


def _as_blocks(value: Any) -> Any:
    """Return the order of blocks by the name that it has now; earlier versions called it shuffled."""
    return "blocks" if value == "shuffled" else value


Percentage = Annotated[str, Field(pattern=percentage.PATTERN)]
Positive = Annotated[float, Field(gt=0, le=2)]
Fraction = Annotated[Positive, BeforeValidator(_as_fraction, json_schema_input_type=Positive | Percentage)]


class TrialsSpec(Section):
    """How often and in which order arms are recorded, and how often one trial is tried.

    A block holds each arm once.
    """

    repeat: int = Field(
        3, ge=1, le=MAX_BLOCKS, description="Blocks, which are trials per arm; with `blocks: auto`, the least number."
    )
    blocks: Literal["fixed", "auto"] = Field(
        "fixed",
        description="How many blocks: `repeat`, or as many as `compare.width` or `compare.max_hours` asks for.",
    )
    order: Annotated[Literal["blocks", "listed"], BeforeValidator(_as_blocks)] = Field(
        "blocks", description="Order of the arms within each block: drawn with `seed`, or as listed in `sweep`."
    )
    reboot: Literal["every block", "never"] | None = Field(
        None,
        description="When the machine is booted anew without need; null: every block where arms are compared, else "
        "never.",
    )
    seed: int = Field(
        2026, ge=0, le=MAX_INT, description="Seed of the order, and of what loads draw, such as arrivals."
    )
    attempts: int = Field(
        3,
        ge=1,
        le=20,
        description="Largest number of recordings of one trial.",
    )
    wait_for_calm_s: float = Field(
        120.0,
        ge=0,
        le=86_400,
        description="Longest wait, in seconds, for a busy host to become calm before a trial is recorded again.",
    )


class CompareSpec(Section):
    """The comparison that the campaign is for: it decides on the number of blocks with `trials.blocks: auto`."""

    metric: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="The metric to know well, such as requests/s; null: the load's first rate, else switches/s.",
    )
    width: Fraction = Field(
        0.02,
        description="With `trials.blocks: auto`: the whole width of the 95 % interval that ends the recording, as a "
        "share of the first arm, such as 0.02 or 2 %.",
    )
    max_hours: float = Field(
        8.0, gt=0, le=10_000, description="With `trials.blocks: auto`: hours of recording after which no block begins."
    )
    null: bool = Field(
        False,
        description="Record the first arm once more under a second name: how far equals seem to differ.",
    )
    margin: Fraction = Field(
        0.01, description="Differences below this do not matter: what `harness compare` calls equivalent."
    )


class VerdictSpec(Section):
    """The limits that a recording must keep to be used."""

    min_recorded_share: float = Field(0.98, ge=0, le=1, description="Smallest ratio of recorded to requested time.")
    max_lost_events: int = Field(
        0, ge=0, le=MAX_COUNT, description="Largest number of lost events, as reported by perf."
    )
    max_chain_breaks: int = Field(
        0,
        ge=0,
        le=MAX_COUNT,
        description="Largest number of switches from another task than their CPU last switched to.",
    )
    max_failed_requests: int = Field(0, ge=0, le=MAX_COUNT, description="Largest number of failed requests.")
    max_tracer_share: float = Field(0.25, ge=0, le=1, description="Largest share of CPU time taken by perf itself.")
    max_host_share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest share of the recorded time in which the guest's CPU waited for a CPU of the host; null is "
        "0.02 where the guest's clock is the host's, and no limit where it is counted.",
    )
    max_idle_share: float = Field(
        0.20, ge=0, le=1, description="Largest share of CPU time spent idle, with a load that keeps the CPU busy."
    )


class ModelSpec(Section):
    """The predicted marks, the predictors, and how they are scored."""

    mark: Literal["comm", "task"] = Field(
        "task", description="The predicted mark: `task` tells threads apart (name and tid), `comm` uses only the name."
    )
    predictors: tuple[str, ...] = Field(
        (), strict=False, description="Predictors to train and score; an empty list only records."
    )
    seeds: tuple[Seed, ...] = Field(
        (0, 1, 2), strict=False, min_length=1, description="Seeds: each predictor is trained once with each of them."
    )
    split: tuple[Share, Share, Share] = Field(
        (0.7, 0.15, 0.15),
        strict=False,
        description="Shares of each trial, in time order: train, validation, test; each at least 0.01, together 1.",
    )
    params: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings of single predictors (predictor -> setting -> value)."
    )

    @field_validator("predictors", "seeds")
    @classmethod
    def _no_duplicates(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = [item for item in value if value.count(item) > 1]
        if twice:
            raise ValueError(f"different values; {twice[0]!r} appears {value.count(twice[0])} times")
        return value

    @field_validator("split")
    @classmethod
    def _split_is_whole(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if not isclose(sum(value), 1.0, abs_tol=1e-6):
            raise ValueError("three shares that add up to 1")
        return value


class Experiment(Section):
    """One question, and everything needed to answer it."""

    name: str = Field(pattern=NAME, max_length=60, description="Short name; run folders are named after it.")
    question: str = Field("", max_length=2000, description="The question, in one sentence.")
    machine: MachineSpec = Field(description="Where trials run.")
    load: SerializeAsAny[BaseModel] = Field(description="What keeps the CPU busy; `harness loads` lists the kinds.")
    record: RecordSpec = Field(default_factory=RecordSpec, description="How long and how one trial is recorded.")
    trials: TrialsSpec = Field(default_factory=TrialsSpec, description="How often, in which order.")
    compare: CompareSpec = Field(default_factory=CompareSpec, description="What is compared, and how well.")
    model: ModelSpec = Field(default_factory=ModelSpec, description="The predicted marks and the predictors.")
    verdict: VerdictSpec = Field(
        default_factory=VerdictSpec, description="Limits that a recording must keep to be used."
    )
    sweep: dict[str, Annotated[tuple[Any, ...], Field(strict=False)]] = Field(
        default_factory=dict,
        description="Values to compare: a dotted path below machine, load or record -> list of values. Several paths "
        "give every combination.",
    )

    @property
    def reboot(self) -> Literal["every block", "never"]:
        """When the machine is booted anew without need: `trials.reboot`, or what follows from its being null."""
        compared = bool(self.sweep) or self.compare.null
        return self.trials.reboot or ("every block" if compared else "never")

    _source: Path | None = PrivateAttr(None)
    _text: str = PrivateAttr("")

    @property
    def source(self) -> Path | None:
        """The file that the experiment was read from."""
        return self._source

    @property
    def text(self) -> str:
        """That file's text, unchanged; settings of the command line are not in it."""
        return self._text

    def with_origin(self, source: Path | None, text: str) -> Experiment:
        """Return the experiment with this source and text."""
        twin = self.model_copy()
        twin._source, twin._text = source, text
        return twin

"""What an experiment sets in the guest's kernel: words of its command line, sysctls, and the scheduler's own knobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
)

from harness.spec.section import Section

# What /proc/cmdline shows as it was written: printable ASCII without blank and quote; and without what XML would take
# for its own, for Vagrant puts the words into libvirt's description of the machine as they are.
WORD = r"^[!#-%'-;=?-~]+$"
SYSCTL = r"^(kernel|vm|net|fs)(\.[A-Za-z0-9_-]+)+$"
MOST_LETTERS = 800  # of all words: the kernel cuts its command line at 2047, and the harness needs half of that
NEEDED_UNITS = re.compile(
    r"(harness-\w+|ssh|sshd|systemd-(networkd|resolved|journald|udevd|remount-fs)[\w-]*|dbus[\w-]*|local-fs|multi-user"
    r"|sysinit|basic|dev-vda|dev-ttyS0|sys-kernel-(debug|tracing))(\.\w+)?"
)
OF_HARNESS = "the harness itself writes these words"
OF_DISK = "the box has its disk, and what is started from it"
OF_CONSOLE = "the harness reads the guest's host key and the phases of a trial on its serial console"
OF_BOOT = "the guest would stop in a shell, or in a target without SSH"
OF_MEMORY = "the machine's memory is `machine.memory_mb`"
OF_CPUS = "the number of CPUs is `machine.cpus`"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("root", "rootfstype", "rootflags", "rootdelay", "rootwait", "ro", "rw", "resume"), OF_DISK),
    **dict.fromkeys(("initrd", "noinitrd", "init", "rdinit", "boot", "nfsroot", "netboot", "BOOT_IMAGE"), OF_DISK),
    **dict.fromkeys(("console", "8250.nr_uarts", "8250_core.nr_uarts"), OF_CONSOLE),
    **dict.fromkeys(("break", "single", "s", "S", "emergency", "-b", "rescue", "recovery"), OF_BOOT),
    **dict.fromkeys(("systemd.unit", "rd.systemd.unit", *"12345"), OF_BOOT),
    **dict.fromkeys(("mem", "memmap", "highmem"), OF_MEMORY),
    **dict.fromkeys(("maxcpus", "nr_cpus", "nosmp", "possible_cpus"), OF_CPUS),
    "icount": "this is an option of QEMU and no word of the kernel: `machine.clock` and `machine.cpu_speed` set it",
    "net.ifnames": "the box's network is set up for eth0",
    "biosdevname": "the box's network is set up for eth0",
    "--": "all words after it would go to the guest's init",
}
ACTIONS: dict[str, str] = {
    **dict.fromkeys(
        ("vm.drop_caches", "vm.compact_memory", "net.ipv4.route.flush", "net.ipv6.route.flush"),
        "this starts something and holds no value",
    ),
    **dict.fromkeys(
        ("kernel.modules_disabled", "kernel.kexec_load_disabled", "kernel.unprivileged_bpf_disabled"),
        "it cannot be set back, and the trials of other arms run on the same machine",
    ),
}


def _word(value: str) -> str:
    if not re.fullmatch(WORD, value):
        raise ValueError("one word of printable ASCII, without blanks, quotes, <, > and &")
    if why := refusal(value):
        raise ValueError(f"no such word: {why}")
    return value


def refusal(word: str) -> str | None:
    """Return why a word may not be added to the kernel's command line; None if it may."""
    name, _, value = word.partition("=")
    if name.startswith("harness."):
        return OF_HARNESS
    if name in ("systemd.mask", "rd.systemd.mask") and NEEDED_UNITS.fullmatch(value):
        return f"the harness needs the guest's {value}"
    if name.endswith("blacklist") and re.search(r"virtio|ext4", value):
        return "the machine's disk and network are virtio, and its file system is ext4"
    return REFUSED.get(name)


def _fits(value: tuple[str, ...]) -> tuple[str, ...]:
    if (letters := len(" ".join(value))) > MOST_LETTERS:
        raise ValueError(f"at most {MOST_LETTERS} letters; these words have {letters}")
    return value


def _sysctl(name: str) -> str:
    if not re.fullmatch(SYSCTL, name):
        raise ValueError("a name such as kernel.sched_rt_runtime_us, vm.swappiness or net.core.somaxconn")
    if why := ACTIONS.get(name):
        raise ValueError(f"no such name: {why}")
    return name


def _value(value: Any, check: ValidatorFunctionWrapHandler) -> int | str:
    try:
        known: int | str = check(value)
    except ValidationError:
        raise ValueError("a whole number of at most 64 bits, or a line of text") from None
    if isinstance(known, str) and not (known.isprintable() and known.strip()):
        raise ValueError("a line of text")
    return known


Word = Annotated[str, Field(max_length=200, json_schema_extra={"pattern": WORD}), AfterValidator(_word)]
Cmdline = Annotated[tuple[Word, ...], Field(strict=False, max_length=50), AfterValidator(_fits)]


def _feature(name: str) -> str:
    if name.startswith("NO_"):
        raise ValueError(f"the name without NO_, with false: {{{name[3:]}: false}}")
    return name


Integer = Annotated[int, Field(ge=-(2**63), lt=2**64)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Sysctls = Annotated[
    dict[
        Annotated[str, Field(json_schema_extra={"pattern": SYSCTL}), AfterValidator(_sysctl)],
        Annotated[Integer | Text, WrapValidator(_value)],
    ],
    Field(max_length=100, json_schema_extra={"additionalProperties": False}),
]

Nanoseconds = Annotated[int, Field(ge=0, lt=2**32)]  # the kernel keeps 32 bits, and drops what is above them
Feature = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=60), AfterValidator(_feature)]
CFS_ONLY = "Kernels with CFS (before Linux 6.6) have it."

SYSCTL_NAMES = {"autogroup": "autogroup_enabled"}  # of those whose sysctl is not kernel.sched_NAME

# The releases of Linux that have a setting: the first, and the first that does not have it any more.
RELEASES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "base_slice_ns": ((6, 6), (99, 0)),
    "latency_ns": ((0, 0), (6, 6)),
    "min_granularity_ns": ((0, 0), (6, 6)),
    "idle_min_granularity_ns": ((5, 15), (6, 6)),
    "wakeup_granularity_ns": ((0, 0), (6, 6)),
    "child_runs_first": ((0, 0), (6, 7)),
    "preempt": ((5, 13), (99, 0)),
}


class SchedSpec(Section):
    """Settings of the scheduler; each is written where the guest's kernel has it, in debugfs or as a sysctl."""

    base_slice_ns: Nanoseconds | None = Field(
        None, description="Length of a slice of EEVDF, in ns. Kernels since Linux 6.6 have it."
    )
    latency_ns: Nanoseconds | None = Field(
        None, description=f"Time in which each runnable task of CFS runs once, in ns. {CFS_ONLY}"
    )
    min_granularity_ns: Nanoseconds | None = Field(
        None, description=f"Least time of CFS before a task is preempted by a tick, in ns. {CFS_ONLY}"
    )
    idle_min_granularity_ns: Nanoseconds | None = Field(
        None, description="The same for SCHED_IDLE tasks, in ns. Linux 5.15 to 6.5 have it."
    )
    wakeup_granularity_ns: Nanoseconds | None = Field(
        None, description=f"Lead in vruntime with which a task of CFS that wakes preempts, in ns. {CFS_ONLY}"
    )
    migration_cost_ns: Nanoseconds | None = Field(
        None, description="Time after it ran in which a task counts as cache-hot, in ns."
    )
    nr_migrate: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        None, description="Tasks that one balancing of two CPUs moves at most."
    )
    tunable_scaling: Literal["none", "log", "linear"] | None = Field(
        None, description="How slices and granularities grow with the CPUs, when a CPU comes or goes."
    )
    child_runs_first: bool | None = Field(
        None, description="Whether a child runs before its parent. Kernels with CFS have it."
    )
    autogroup: bool | None = Field(None, description="Whether each session is a scheduling group of its own.")
    preempt: Literal["none", "voluntary", "full", "lazy"] | None = Field(
        None, description="Where the kernel itself may be preempted (PREEMPT_DYNAMIC, since Linux 5.13)."
    )
    rt_period_us: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        None, description="Period of the limit on real-time tasks, in us."
    )
    rt_runtime_us: Annotated[int, Field(ge=-1, lt=2**31)] | None = Field(
        None, description="Time of each period that real-time tasks may run, in us; -1 is no limit."
    )
    rr_timeslice_ms: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        None, description="Slice of SCHED_RR tasks, in ms; the kernel rounds it to ticks."
    )
    cfs_bandwidth_slice_us: Annotated[int, Field(ge=1, lt=2**32)] | None = Field(
        None, description="Time that a CPU takes at once from a group's quota, in us."
    )
    features: dict[Feature, bool] = Field(
        default_factory=dict,
        max_length=60,
        json_schema_extra={"additionalProperties": False},
        description="Scheduler features by name, such as {RUN_TO_PARITY: false}; guest.json of a trial lists those "
        "of its kernel.",
    )

    @model_serializer
    def given(self) -> dict[str, Any]:
        """Return the settings that are given: what is left out stays as the kernel has it."""
        return {name: value for name, value in self if value is not None and value != {}}


def words(cmdline: Sequence[str], sysctl: Mapping[str, int | str], sched: SchedSpec) -> list[str]:
    """Return what is set in a machine's kernel in short words, such as `base_slice_ns=3000000` and `NO_HRTICK`."""
    given = sched.model_dump()
    features = [name if on else f"NO_{name}" for name, on in given.pop("features", {}).items()]
    knobs = [f"{name}={str(value).lower()}" for name, value in given.items()]
    return [*cmdline, *(f"{name}={value}" for name, value in sysctl.items()), *knobs, *features]

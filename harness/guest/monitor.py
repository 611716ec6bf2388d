"""A running guest seen from the host, without a connection: its console, its clock, the CPU time of its vCPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from harness.errors import MachineError

MOST_CONSOLE_BYTES = 32 << 20  # a boot writes 100 kB, a trial 100 bytes
FLOOD = "the guest floods its serial console"


@dataclass(frozen=True)
class CpuTimes:
    """The CPU time of a guest's vCPU threads, summed: how long they ran, and how long they wanted to run and waited.

    Both since the threads began, in ns, from the host's /proc/PID/task/TID/schedstat.
    """

    run_ns: int
    wait_ns: int


@dataclass(frozen=True)
class Condition:
    """Whether a machine runs, as its host sees it; `why`, a sentence, is empty while it does.

    `paused`: it stands still, and may be resumed. `ended`: only another machine can go on. `unknown`: the hypervisor
    does not answer, and nothing else shows that the machine does not run.
    """

    state: Literal["running", "paused", "ended", "unknown"]
    why: str = ""


RUNNING = Condition("running")


@runtime_checkable
class Monitor(Protocol):
    """A view of one running guest from outside. No method disturbs the guest or connects to it."""

    def console_size(self) -> int:
        """Return the length of the serial console's output so far in bytes; cheap enough for 20 calls a second."""

    def console_delay_s(self) -> float:
        """Return how much later than the guest wrote it a line may be seen, in seconds; 0.0 if it is seen at once."""

    def console(self) -> str:
        """Return the serial console's output so far; slower than `console_size`."""

    def guest_seconds(self) -> float | None:
        """Return the guest's own clock, in seconds since some fixed moment; None where the host cannot read it."""

    def cpu_times(self) -> CpuTimes | None:
        """Return the CPU time of the vCPU threads; None where the host's kernel or the hypervisor does not show it."""

    def process_ids(self) -> tuple[int, ...]:
        """Return the ids of the host's processes that run this guest, such as QEMU; empty where they are not known."""

    def condition(self) -> Condition:
        """Ask the hypervisor whether the machine runs; a call of a program, within seconds. Raises nothing."""


def bounded_console(monitor: Monitor, size: int) -> str:
    """Return the console's output, whose length was asked before.

    Raises MachineError, and reads nothing, when it is longer than a guest needs.
    """
    if is_flooded(size):
        raise MachineError(f"{FLOOD}: {size / 1e6:.0f} MB", expected=f"at most {MOST_CONSOLE_BYTES / 1e6:.0f} MB")
    return monitor.console()


def is_flooded(size: int) -> bool:
    """Return whether a console of this length is longer than a guest needs."""
    return size > MOST_CONSOLE_BYTES

"""The clock that a machine's time follows: the host's clock, or the number of instructions that its CPU executed.

Counted, QEMU gives every instruction the same length (`-icount shift=N`: 2^N ns), so that the guest's time stands still
while the host keeps its vCPU waiting. docs/clock.md explains what that changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.recorded_clock import DEFAULT_SPEED
from harness.spec import MachineSpec

SHIFTS = {125: 3, 250: 2, 500: 1}  # instructions per microsecond -> N
# Seconds of a CPU of the host for one second of the guest, next to those at 125: measured 1.0-1.3, 2.4 and 5.7.
SLOWER = {125: 1.0, 250: 2.0, 500: 5.0}


@dataclass(frozen=True)
class GuestClock:
    """The clock of one machine, `host` or `counted`, why, and if counted its instructions per microsecond."""

    kind: str
    reason: str
    cpu_speed: int | None = None

    @property
    def shift(self) -> int | None:
        """N of QEMU's `-icount shift=N`; None on the host's clock."""
        return SHIFTS[self.cpu_speed] if self.cpu_speed else None

    @property
    def slower(self) -> float:
        """How many times longer the host works for one second of the guest than at the slowest counted CPU."""
        return SLOWER[self.cpu_speed] if self.cpu_speed else 1.0


def choose(spec: MachineSpec, accelerator: str) -> GuestClock:
    """Return the clock of a machine that runs on `accelerator` (`kvm`, `tcg` or `virtualbox`)."""
    if spec.clock == "host":
        return GuestClock("host", "set by machine.clock")
    if spec.clock == "counted":
        return GuestClock("counted", "set by machine.clock", spec.cpu_speed or DEFAULT_SPEED)
    if accelerator != "tcg":
        return GuestClock("host", f"instructions cannot be counted under {accelerator}")
    if spec.cpus > 1:
        return GuestClock("host", f"instructions are counted on one CPU only; machine.cpus is {spec.cpus}")
    return GuestClock("counted", "the default of an emulated machine with one CPU", DEFAULT_SPEED)

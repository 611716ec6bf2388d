"""One stressor of stress-ng."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import Limit, LoadModel, Metrics, Timing

WAITING = ("hdd", "io", "iomix", "sleep")  # they leave the CPU idle: for the disk, or by design
CORRUPTED = "data is compromised"  # stress-ng's own check of its counters


class StressNg(LoadModel):
    """`stress-ng` with one kind of stressor, until SIGINT stops it.

    Each worker of `switch` wakes a partner through a pipe and sleeps until it answers, so that the run queue and the
    slices are short. Workers of `cpu`, `matrix`, `cache`, `vm` and `context` (contexts within one process) compute and
    use their slices up. `fork`, `vfork` and `pthread` make tasks all the time. `hdd`, `io`, `iomix` and `sleep` leave
    the CPU idle.
    """

    roles: ClassVar[tuple[str, ...]] = ("stress_ng",)

    kind: Literal["stress_ng"] = "stress_ng"
    stressor: Literal[
        "switch", "context", "pipe", "fork", "futex", "cpu", "io", "hdd", "iomix", "cache", "matrix", "vm", "malloc",
        "vfork", "pthread", "sem", "msg", "mq", "sockpair", "eventfd", "epoll", "poll", "fifo", "sigq", "timer",
        "yield", "affinity", "sleep",
    ] = Field("switch", description="what each worker does")  # fmt: skip
    workers: int = Field(2, ge=1, le=1024, description="workers at the same time")

    @property
    def keeps_cpu_busy(self) -> bool:
        """Return whether the workers only stop for each other."""
        return self.stressor not in WAITING

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that it must have counted operations."""
        return (Limit("operations", "stress-ng counted none, or its check found them wrong; see load.txt", at_least=1),)

    def command(self) -> list[str]:
        """Return the command, without a time limit; on SIGINT stress-ng stops its workers and prints its metrics."""
        return ["stress-ng", f"--{self.stressor}", str(self.workers), "--timeout", "0", "--metrics-brief"]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the stressor's operations, the real time they took, and their rate."""
        row = re.search(rf"\s{re.escape(self.stressor)}\s+([0-9]+)\s+([0-9.]+)\s+[0-9.]+\s+[0-9.]+\s+([0-9.]+)", output)
        if not row or CORRUPTED in output:
            return {}
        return {"operations": int(row[1]), "seconds": float(row[2]), "operations_per_s": float(row[3])}

"""One stressor of stress-ng."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import LoadModel, Metrics, Timing

WAITING = ("hdd", "io")  # they leave the CPU idle while the disk works
CORRUPTED = "data is compromised"  # stress-ng's own check of its counters


class StressNg(LoadModel):
    """`stress-ng` with one kind of stressor, until SIGINT stops it.

    Each worker of `switch` wakes a partner through a pipe and sleeps until it answers, so that the run queue and the
    slices are short. Workers of `cpu`, `matrix`, `cache`, `vm` and `context` (contexts within one process) compute and
    use their slices up. `fork`, `vfork` and `pthread` make tasks all the time. `hdd` and `io` leave the CPU idle
    while the disk works.
    """

    roles: ClassVar[tuple[str, ...]] = ("stress_ng",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s",)

    kind: Literal["stress_ng"] = "stress_ng"
    stressor: Literal[
        "switch", "context", "pipe", "fork", "futex", "cpu", "io", "hdd", "cache", "matrix", "vm", "malloc",
        "vfork", "pthread", "sem", "msg", "sockpair", "eventfd", "epoll", "poll", "fifo", "sigq", "yield",
    ] = Field("switch", description="what each worker does")  # fmt: skip
    workers: int = Field(2, ge=1, le=1024, description="workers at the same time")

    @property
    def keeps_cpu_busy(self) -> bool:
        """Return whether the workers only stop for each other."""
        return self.stressor not in WAITING

    def command(self) -> list[str]:
        """Return the command, without a time limit; on SIGINT stress-ng stops its workers and prints its metrics."""
        return ["stress-ng", f"--{self.stressor}", str(self.workers), "--timeout", "0", "--metrics-brief"]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the stressor's operations, the real time they took, and their rate.

        Nothing where stress-ng's own check says that its counters are wrong: the version of Debian 11 loses those of
        `switch` and `pipe` when it is stopped. The recording is sound all the same, so this is no limit.
        """
        row = re.search(rf"\s{re.escape(self.stressor)}\s+([0-9]+)\s+([0-9.]+)\s+[0-9.]+\s+[0-9.]+\s+([0-9.]+)", output)
        if not row or CORRUPTED in output:
            return {}
        return {"operations": int(row[1]), "seconds": float(row[2]), "operations_per_s": float(row[3])}

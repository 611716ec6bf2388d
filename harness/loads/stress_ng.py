"""One stressor of stress-ng, by default `switch`, whose workers only switch between each other."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import LoadModel, Metrics, Timing


class StressNg(LoadModel):
    """`stress-ng` with one kind of stressor, until SIGINT stops it."""

    roles: ClassVar[tuple[str, ...]] = ("stress_ng",)

    kind: Literal["stress_ng"] = "stress_ng"
    stressor: Literal["switch", "context", "pipe", "fork", "futex", "cpu"] = Field(
        "switch", description="what each worker does"
    )
    workers: int = Field(2, ge=1, le=1024, description="workers at the same time")

    def command(self) -> list[str]:
        """Return the command, without a time limit; on SIGINT stress-ng stops its workers and prints its metrics."""
        return ["stress-ng", f"--{self.stressor}", str(self.workers), "--timeout", "0", "--metrics-brief"]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the stressor's operations, the real time they took, and their rate."""
        row = re.search(rf"\s{re.escape(self.stressor)}\s+([0-9]+)\s+([0-9.]+)\s+[0-9.]+\s+[0-9.]+\s+([0-9.]+)", output)
        if not row:
            return {}
        return {"operations": int(row[1]), "seconds": float(row[2]), "operations_per_s": float(row[3])}

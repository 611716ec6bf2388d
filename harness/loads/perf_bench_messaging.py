"""Groups of senders and receivers that pass small messages: hackbench, as contained in perf."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import LoadModel, Metrics, Timing


class PerfBenchMessaging(LoadModel):
    """`perf bench sched messaging`: every sender of a group writes to every receiver of that group."""

    roles: ClassVar[tuple[str, ...]] = ("perf",)

    kind: Literal["perf_bench_messaging"] = "perf_bench_messaging"
    groups: int = Field(1, ge=1, le=100, description="groups of 20 senders and 20 receivers")
    loops: int = Field(
        10_000_000, ge=1, le=100_000_000, description="messages each sender sends; more than fit into the recording"
    )
    threads: bool = Field(False, description="threads of one process instead of processes")
    pipes: bool = Field(False, description="pipes instead of socket pairs")

    def command(self) -> list[str]:
        """Return the benchmark's command; it prints nothing when SIGINT stops it."""
        flags = ["--thread"] * self.threads + ["--pipe"] * self.pipes
        sizes = ["--group", str(self.groups), "--nr_loops", str(self.loops)]
        return ["perf", "bench", "sched", "messaging", *sizes, *flags]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return its running time, which it prints only when it finishes."""
        match = re.search(r"^[ \t]*Total time:\s+([0-9.]+)\s*\[sec\]", output, re.MULTILINE)
        return {"seconds": float(match[1])} if match else {}

"""Groups of senders and receivers that pass small messages: hackbench, as contained in perf."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import LoadModel, Metrics, Timing
from harness.loads.guest_scripts import script

SENDERS = 20  # in a group, and as many receivers; perf has no option for it
TIME = re.compile(r"^[ \t]*Total time:\s+([0-9]+(?:\.[0-9]+)?)\s*\[sec\]", re.MULTILINE)


class PerfBenchMessaging(LoadModel):
    """`perf bench sched messaging` in rounds: every sender of a group writes to every receiver of that group.

    Each message wakes a receiver, and each full socket stops a sender, so that dozens of tasks are runnable at once and
    slices are short. It needs no package beside perf. Between two rounds all tasks end and are made again.
    """

    roles: ClassVar[tuple[str, ...]] = ("perf",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s",)

    kind: Literal["perf_bench_messaging"] = "perf_bench_messaging"
    groups: int = Field(1, ge=1, le=100, description="groups of 20 senders and 20 receivers")
    loops: int = Field(
        100, ge=1, le=100_000_000, description="messages that each sender sends to each receiver in a round"
    )
    threads: bool = Field(False, description="threads of one process instead of processes")
    pipes: bool = Field(False, description="pipes instead of socket pairs")

    def command(self) -> list[str]:
        """Return the command that runs the benchmark again and again."""
        flags = ["--thread"] * self.threads + ["--pipe"] * self.pipes
        sizes = ["--group", str(self.groups), "--nr_loops", str(self.loops)]
        return ["python3", "rounds.py", "perf", "bench", "sched", "messaging", *sizes, *flags]

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the program that repeats it: it prints its time only when it is done."""
        return {"rounds.py": script("rounds.py")}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the messages of the rounds that were done, and their rate; the time leaves out making the tasks."""
        times = [float(seconds) for seconds in TIME.findall(output)]
        if not times or sum(times) == 0:
            return {}
        messages = len(times) * self.groups * SENDERS**2 * self.loops
        return {"operations": messages, "seconds": sum(times), "operations_per_s": messages / sum(times)}

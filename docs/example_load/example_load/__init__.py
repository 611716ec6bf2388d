"""cyclictest as a load of harness."""

import re
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads import Limit, LoadModel, Metrics, Timing

# T: 0 ( 2494) P: 0 I:2000 C:   1472 Min:     26 Act:   78 Avg:  167 Max:    6097
THREAD = re.compile(r"^T: *\d+ \( *\d+\) .* C: *(\d+) .* Avg: *(\d+) Max: *(\d+)", re.MULTILINE)


class Cyclictest(LoadModel):
    """`cyclictest` of rt-tests: threads that sleep, and measure how late they wake.

    Timers wake the threads, which never wake each other. Each runs for some tens of microseconds and sleeps again, so
    that most of the CPU is idle.
    """

    kind: Literal["cyclictest"] = "cyclictest"
    threads: int = Field(2, ge=1, le=100, description="threads that sleep and wake")
    interval_us: int = Field(1000, ge=100, le=1_000_000, description="sleep of the first thread, in microseconds")
    distance_us: int = Field(500, ge=0, le=1_000_000, description="how much longer each further thread sleeps")

    roles: ClassVar[tuple[str, ...]] = ("cyclictest",)
    role_folder: ClassVar[Path | None] = Path(__file__).parent / "roles"

    @property
    def keeps_cpu_busy(self) -> bool:
        """Return that an idle CPU is no fault here."""
        return False

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that threads must have woken."""
        return (Limit("wakeups", "cyclictest printed no thread that woke; see load.txt", at_least=1),)

    def command(self) -> list[str]:
        """Return the command; when SIGINT stops it, it prints a line for each thread."""
        sizes = {"threads": self.threads, "interval": self.interval_us, "distance": self.distance_us}
        return ["cyclictest", "--quiet", *(f"--{name}={value}" for name, value in sizes.items())]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return all wakeups, how late they were on average, and the latest."""
        rows = [tuple(map(int, match.groups())) for match in THREAD.finditer(output)]
        wakeups = sum(count for count, _, _ in rows)
        if not wakeups:
            return {}
        mean_us = sum(count * average for count, average, _ in rows) / wakeups
        latest_us = max(maximum for _, _, maximum in rows)
        return {"wakeups": wakeups, "latency_mean_ms": mean_us / 1000, "latency_max_ms": latest_us / 1000}

"""Reads and writes of the guest's disk: fio."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from harness.loads.base import LATENCIES, Limit, LoadModel, Metrics, Timing

NS_PER_MS = 1e6
FILE = "blocks.dat"


class Fio(LoadModel):
    """`fio`: jobs that read or write blocks of one file, each waiting for its block before it asks for the next.

    It leaves the CPU idle while the disk works. Each completion wakes its job, which runs for as long as one request
    takes; the kernel's workers for blocks and the file system run between.
    """

    roles: ClassVar[tuple[str, ...]] = ("fio",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s", *LATENCIES)

    kind: Literal["fio"] = "fio"
    pattern: Literal["read", "write", "randread", "randwrite", "randrw"] = Field(
        "randread", description="order of the blocks, and what is done with them"
    )
    jobs: int = Field(2, ge=1, le=256, description="processes at the same time")
    block_kb: int = Field(4, ge=1, le=16_384, description="size of a block, in kilobytes")
    file_mb: int = Field(32, ge=1, le=2048, description="size of the file that all jobs share, in megabytes")
    direct: bool = Field(True, description="past the page cache, so that each request reaches the disk")

    @property
    def keeps_cpu_busy(self) -> bool:
        """Return False: it waits for the disk."""
        return False

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that blocks must have been read or written, none with an error."""
        return (
            Limit("operations", "fio reported no blocks; see load.txt", at_least=1),
            Limit("errors", "fio reported an error of a job; see load.txt", at_most=0),
        )

    def command(self) -> list[str]:
        """Return the command, without a limit that could pass; on SIGINT fio prints its statistics."""
        return [*self._job, "--time_based", "--runtime=1000000", "--group_reporting", "--output-format=json"]

    def prepare(self) -> list[str] | None:
        """Return the command that writes the file, so that a trial begins with it."""
        return [*self._job, "--create_only=1"]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read fio's JSON, which begins after a line about the signal; read and written blocks are counted together."""
        job = _only_job(output)
        sides = [job[side] for side in ("read", "write") if job and job[side]["total_ios"] > 0]
        if not sides or not job:
            return {}
        operations, seconds = sum(side["total_ios"] for side in sides), max(side["runtime"] for side in sides) / 1000
        busiest = max(sides, key=lambda side: int(side["total_ios"]))["clat_ns"]
        metrics: Metrics = {"operations": operations, "errors": int(job["error"]), "seconds": seconds}
        if seconds:
            metrics["operations_per_s"] = operations / seconds
        metrics["latency_mean_ms"] = busiest["mean"] / NS_PER_MS
        for name, key in (("latency_p50_ms", "50.000000"), ("latency_p99_ms", "99.000000")):
            if key in busiest.get("percentile", {}):
                metrics[name] = busiest["percentile"][key] / NS_PER_MS
        return metrics

    @property
    def _job(self) -> list[str]:
        sizes = [f"--bs={self.block_kb}k", f"--size={self.file_mb}m", f"--numjobs={self.jobs}"]
        how = [f"--rw={self.pattern}", "--ioengine=psync", f"--direct={int(self.direct)}"]
        return ["fio", "--name=load", f"--filename={FILE}", *how, *sizes]


def _only_job(output: str) -> dict[str, Any] | None:
    """Return the one group of jobs of fio's report; None where it is missing or was cut."""
    try:
        jobs = json.loads(output[output.index("{") : output.rindex("}") + 1])["jobs"]
        return jobs[0] if isinstance(jobs, list) and jobs else None
    except (ValueError, KeyError, TypeError):
        return None

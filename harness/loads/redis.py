"""A Redis server, and redis-benchmark, which sends it commands."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from harness.loads.base import Limit, LoadModel, Metrics, Timing

PREPARE = "empty.sh"
# Without `save`, the server would fork for a snapshot once a minute while it is written to.
PREPARE_SCRIPT = """\
set -e
redis-cli flushall
redis-cli config set save ''
"""
REPORT = re.compile(r"^====== .*? ======\s+(\d+) requests completed in ([\d.]+) seconds$", re.MULTILINE)
POINT = re.compile(r"^([\d.]+)% <= ([\d.]+) milliseconds(?: \(cumulative count (\d+)\))?$", re.MULTILINE)

Command = Literal["ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "lpop", "sadd", "hset", "spop", "mset"]


class Redis(LoadModel):
    """`redis-benchmark` sends commands to a Redis server over the loopback interface, again and again.

    Two tasks take turns, each of which handles all connections that are ready before it sleeps: with more clients or a
    deeper pipeline, slices grow from tens of microseconds to milliseconds.
    """

    roles: ClassVar[tuple[str, ...]] = ("redis",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s", "latency_p50_ms", "latency_p99_ms")
    services: ClassVar[tuple[str, ...]] = ("redis-server.service",)

    kind: Literal["redis"] = "redis"
    tests: tuple[Command, ...] = Field(
        ("set", "get"), min_length=1, description="commands that are measured one after the other, over and over"
    )
    clients: int = Field(10, ge=1, le=1000, description="connections")
    pipeline: int = Field(1, ge=1, le=1000, description="commands that each connection sends at once")
    data_bytes: int = Field(100, ge=1, le=1_000_000, description="length of a value in bytes")
    keys: int = Field(
        1000, ge=1, le=1_000_000, description="different keys, chosen at random, not from the trial's seed"
    )
    requests: int = Field(
        2000, ge=1, le=10_000_000, description="requests of a test before the next begins; only whole tests are counted"
    )

    @field_validator("tests")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("different tests")
        return value

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that it must have completed a test."""
        why = "redis-benchmark completed no test: record longer, or lower `requests`; see load.txt"
        return (Limit("operations", why, at_least=1),)

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the script that empties the server."""
        return {PREPARE: PREPARE_SCRIPT}

    def prepare(self) -> list[str]:
        """Return the script that empties the server."""
        return ["sh", PREPARE]

    def ready(self) -> list[str]:
        """Return a ping of the server, which fails while it does not listen."""
        return ["redis-cli", "ping"]

    def command(self) -> list[str]:
        """Return the command of redis-benchmark, which prints a report after each test."""
        sizes = ["-c", str(self.clients), "-P", str(self.pipeline), "-d", str(self.data_bytes), "-r", str(self.keys)]
        return [
            "redis-benchmark",
            "-h",
            "127.0.0.1",
            "-l",
            "-t",
            ",".join(self.tests),
            "-n",
            str(self.requests),
            *sizes,
        ]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read the reports, which list how many requests took at most how long, and merge them."""
        parts = REPORT.split(output.replace("\r", "\n"))
        reports = list(zip(map(int, parts[1::3]), map(float, parts[2::3]), parts[3::3], strict=True))
        if not reports:
            return {}
        operations, seconds = sum(count for count, _, _ in reports), sum(time for _, time, _ in reports)
        metrics: Metrics = {"operations": operations, "seconds": seconds}
        if seconds:
            metrics["operations_per_s"] = operations / seconds
        if times := sorted(time for count, _, text in reports for time in _latencies(count, text)):
            metrics |= {"latency_p50_ms": _percentile(times, 50), "latency_p99_ms": _percentile(times, 99)}
        return metrics


def _latencies(requests: int, text: str) -> list[tuple[float, float]]:
    """Return (ms, requests) of a report: so many took longer than the one before, and at most so long."""
    points = sorted(
        (float(time), float(count) if count else requests * float(share) / 100)
        for share, time, count in POINT.findall(text)
    )
    return [(time, count - before) for (_, before), (time, count) in pairwise([(0.0, 0.0), *points])]


def _percentile(times: list[tuple[float, float]], percent: float) -> float:
    """Return the time that so many percent of the requests did not exceed."""
    left = percent / 100 * sum(count for _, count in times)
    for time, count in times:
        left -= count
        if left <= 1e-9:
            return time
    return times[-1][0]

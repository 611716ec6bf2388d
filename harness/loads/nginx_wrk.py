"""nginx serving one small page to wrk on the same machine, over connections that stay open."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from harness.loads.arrivals import Arrivals
from harness.loads.base import LATENCIES, Limit, LoadModel, Metrics, Timing

TIME = r"([0-9.]+)(us|ms|s|m|h)"
UNIT_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
TIMES = {
    "latency_mean_ms": rf"^ +Latency +{TIME} ",
    "latency_p50_ms": rf"^ +50% +{TIME}$",
    "latency_p99_ms": rf"^ +99% +{TIME}$",
}
DONE = re.compile(rf"^ +([0-9]+) requests in {TIME}, ", re.MULTILINE)
RATE = re.compile(r"^Requests/sec: +([0-9.]+)$", re.MULTILINE)
FAILED = re.compile(r"^ +Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$", re.MULTILINE)
NON_2XX = re.compile(r"^ +Non-2xx or 3xx responses: (\d+)$", re.MULTILINE)
COMPLETED = Limit("requests_completed", "wrk reported none; see load.txt", at_least=1)
LONGEST = "30s"  # a later answer counts as failed, and is in no percentile of wrk


class NginxWrk(LoadModel):
    """`wrk` requests one page of nginx repeatedly over connections that stay open.

    The few threads of wrk and nginx wake each other for a fraction of a millisecond. Each handles all connections that
    are ready in one go, so with more connections slices are longer and switches fewer.
    """

    roles: ClassVar[tuple[str, ...]] = ("nginx", "wrk")
    measures: ClassVar[tuple[str, ...]] = ("requests_per_s", *LATENCIES)
    services: ClassVar[tuple[str, ...]] = ("nginx.service",)

    kind: Literal["nginx_wrk"] = "nginx_wrk"
    connections: int = Field(10, ge=1, le=500, description="connections, each with one request under way")
    threads: int = Field(1, ge=1, le=64, description="threads of wrk, which share the connections; at most as many")
    path: str = Field("/", pattern=r"^/[!-~]*$", max_length=200, description="path of the requested page")
    arrivals: Arrivals | None = Field(
        None,
        description="when requests arrive: null or `closed` is a closed loop, with `closed` in place of `connections`; "
        "with the others one thread sends them, and their rate must be one that the machine can answer",
    )

    @model_validator(mode="after")
    def _threads_share_connections(self) -> NginxWrk:
        if self.threads > self._connections:
            raise ValueError(f"at most as many threads as connections: {self._connections}")
        return self

    @property
    def keeps_cpu_busy(self) -> bool:
        """A closed loop does; how busy an open loop keeps it is for its rate to say."""
        return self._open is None

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that it must have completed requests, and in an open loop in time."""
        return self._open.limits if self._open else (COMPLETED,)

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the schedule of an open loop."""
        return self._open.schedule(timing) if self._open else {}

    def command(self) -> list[str]:
        """Return the command of wrk, which prints its statistics when SIGINT stops it."""
        if self._open:
            return self._open.sender(self._url)
        sizes = ["--threads", str(self.threads), "--connections", str(self._connections)]
        return ["wrk", *sizes, "--duration", "24h", "--timeout", LONGEST, "--latency", self._url]

    def ready(self) -> list[str]:
        """Return requests of a second, which fail while nginx does not listen."""
        return ["wrk", "--threads", "1", "--connections", "1", "--duration", "1s", self._url]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read the statistics of wrk, which omit the lines of errors where there were none."""
        if self._open:
            return self._open.measured(output, timing)
        done, rate = DONE.search(output), RATE.search(output)
        if not done or not rate:
            return {}
        failed, non_2xx = FAILED.search(output), NON_2XX.search(output)
        times = {name: re.search(pattern, output, re.MULTILINE) for name, pattern in TIMES.items()}
        return {
            "requests_completed": int(done[1]),
            "requests_failed": sum(map(int, failed.groups())) if failed else 0,
            "responses_non_2xx": int(non_2xx[1]) if non_2xx else 0,
            "requests_per_s": float(rate[1]),
            "seconds": float(done[2]) * UNIT_MS[done[3]] / 1000,
            **{name: float(time[1]) * UNIT_MS[time[2]] for name, time in times.items() if time},
        }

    @property
    def _connections(self) -> int:
        return self.arrivals.closed if self.arrivals and self.arrivals.closed else self.connections

    @property
    def _open(self) -> Arrivals | None:
        return self.arrivals if self.arrivals and self.arrivals.is_open else None

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1{self.path}"

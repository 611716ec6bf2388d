"""nginx serving one small page to ApacheBench on the same machine; with open arrivals, to wrk."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.arrivals import Arrivals
from harness.loads.base import LATENCIES, Limit, LoadModel, Metrics, Timing

COUNT, NUMBER = r"([0-9]+)\b", r"([0-9]+(?:\.[0-9]+)?)"
FIELDS: dict[str, tuple[str, type]] = {
    "requests_completed": (rf"^Complete requests:\s+{COUNT}", int),
    "requests_failed": (rf"^Failed requests:\s+{COUNT}", int),
    "responses_non_2xx": (rf"^Non-2xx responses:\s+{COUNT}", int),
    "requests_per_s": (rf"^Requests per second:\s+{NUMBER}", float),
    "seconds": (rf"^Time taken for tests:\s+{NUMBER}", float),
    "latency_mean_ms": (rf"^Time per request:\s+{NUMBER} \[ms\] \(mean\)$", float),
    "latency_p50_ms": (rf"^ +50%\s+{NUMBER}$", float),
    "latency_p99_ms": (rf"^ +99%\s+{NUMBER}$", float),
}
COMPLETED = Limit("requests_completed", "ab reported none; see load.txt", at_least=1)


class NginxAb(LoadModel):
    """`ab` requests one page of nginx repeatedly over the loopback interface; with open arrivals, wrk sends requests.

    Two tasks wake each other in turn, each for a fraction of a millisecond: nginx, which answers, and ab, which keeps
    `concurrency` requests under way, so that the CPU is never idle. With open arrivals requests come as drawn, whether
    or not earlier ones are answered, and the CPU is idle in between.
    """

    roles: ClassVar[tuple[str, ...]] = ("nginx", "apache2_utils", "wrk")
    measures: ClassVar[tuple[str, ...]] = ("requests_per_s", *LATENCIES)
    services: ClassVar[tuple[str, ...]] = ("nginx.service",)

    kind: Literal["nginx_ab"] = "nginx_ab"
    requests: int = Field(
        1_000_000,
        ge=1,
        le=10_000_000,
        description="requests in all, of ab; more than the machine can answer while recording",
    )
    concurrency: int = Field(5, ge=1, le=20_000, description="requests of ab under way at the same time")
    keepalive: bool = Field(False, description="keep connections open between requests (ab -k)")
    path: str = Field("/", pattern=r"^/[!-~]*$", max_length=200, description="path of the requested page")
    arrivals: Arrivals | None = Field(
        None,
        description="when requests arrive: null or `closed` is ab, with `closed` in place of `concurrency`; with the "
        "others wrk sends them, and their rate must be one that the machine can answer",
    )

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
        """Return the `ab` command; it prints only its final statistics, also when SIGINT stops it. Or that of wrk."""
        if self._open:
            return self._open.sender(self._url, keepalive=self.keepalive)
        keepalive = ["-k"] if self.keepalive else []
        wanted = self.arrivals.closed if self.arrivals and self.arrivals.closed else self.concurrency
        at_once = min(wanted, self.requests)  # ab refuses more than there are requests
        return ["ab", "-q", *keepalive, "-n", str(self.requests), "-c", str(at_once), self._url]

    def ready(self) -> list[str]:
        """Return a single request, which fails while nginx does not listen."""
        return ["ab", "-q", "-n", "1", "-c", "1", self._url]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read the statistics of ab, which omit the line of non-2xx responses where there were none; or of wrk."""
        if self._open:
            return self._open.measured(output, timing)
        metrics: Metrics = {}
        for name, (pattern, number) in FIELDS.items():
            if match := re.search(pattern, output, re.MULTILINE):
                metrics[name] = number(match[1])
        if "requests_completed" in metrics:
            metrics.setdefault("responses_non_2xx", 0)
        return metrics

    @property
    def _open(self) -> Arrivals | None:
        return self.arrivals if self.arrivals and self.arrivals.is_open else None

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1{self.path}"

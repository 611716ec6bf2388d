"""nginx serving one small page to ApacheBench on the same machine."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from harness.loads.base import Limit, LoadModel, Metrics, Timing

COUNT, NUMBER = r"([0-9]+)\b", r"([0-9]+(?:\.[0-9]+)?)"
FIELDS: dict[str, tuple[str, type]] = {
    "requests_completed": (rf"^Complete requests:\s+{COUNT}", int),
    "requests_failed": (rf"^Failed requests:\s+{COUNT}", int),
    "responses_non_2xx": (rf"^Non-2xx responses:\s+{COUNT}", int),
    "requests_per_s": (rf"^Requests per second:\s+{NUMBER}", float),
    "seconds": (rf"^Time taken for tests:\s+{NUMBER}", float),
}


class NginxAb(LoadModel):
    """`ab` requests one page of nginx repeatedly over the loopback interface."""

    roles: ClassVar[tuple[str, ...]] = ("nginx", "apache2_utils")

    kind: Literal["nginx_ab"] = "nginx_ab"
    requests: int = Field(
        1_000_000, ge=1, le=10_000_000, description="requests in all; more than the machine can answer while recording"
    )
    concurrency: int = Field(5, ge=1, le=20_000, description="requests under way at the same time")
    keepalive: bool = Field(False, description="keep connections open between requests (ab -k)")
    path: str = Field("/", pattern=r"^/[!-~]*$", max_length=200, description="path of the requested page")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that it must have completed requests."""
        return (Limit("requests_completed", "ab reported none; see load.txt", at_least=1),)

    def command(self) -> list[str]:
        """Return the `ab` command; it prints only its final statistics, also when SIGINT stops it."""
        keepalive = ["-k"] if self.keepalive else []
        at_once = min(self.concurrency, self.requests)  # ab refuses more than there are requests
        return ["ab", "-q", *keepalive, "-n", str(self.requests), "-c", str(at_once), self._url]

    def ready(self) -> list[str] | None:
        """Return a single request, which fails while nginx does not listen."""
        return ["ab", "-q", "-n", "1", "-c", "1", self._url]

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read the statistics of ab, which omit the line of non-2xx responses where there were none."""
        metrics: Metrics = {}
        for name, (pattern, number) in FIELDS.items():
            if match := re.search(pattern, output, re.MULTILINE):
                metrics[name] = number(match[1])
        if "requests_completed" in metrics:
            metrics.setdefault("responses_non_2xx", 0)
        return metrics

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1{self.path}"

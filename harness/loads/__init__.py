"""What keeps the CPU busy during a trial: one small file per load, and the table of them all."""

from __future__ import annotations

from typing import Any

from harness.loads.base import Load
from harness.loads.idle import Idle
from harness.loads.nginx_ab import NginxAb
from harness.loads.perf_bench_messaging import PerfBenchMessaging
from harness.loads.stress_ng import StressNg

KINDS: dict[str, type[Any]] = {
    "nginx_ab": NginxAb,
    "perf_bench_messaging": PerfBenchMessaging,
    "stress_ng": StressNg,
    "idle": Idle,
}

__all__ = ["KINDS", "Idle", "Load", "NginxAb", "PerfBenchMessaging", "StressNg"]

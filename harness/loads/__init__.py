"""The loads: what keeps the CPU busy during a trial. One file per load.

To add a load: write a subclass of `LoadModel` (base.py) in a new file here, and add it to `KINDS`. If it
needs a package, add a role `ansible/roles/NAME/` and the package's names for each release in its `packages.yml`.
`harness loads`, `--load`, the JSON Schema of experiment files and tests/contract/test_load.py then include it.
"""

from __future__ import annotations

from typing import Any

from harness.loads.base import Limit, Load, LoadModel, Metrics, Timing, part_names
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

__all__ = [
    "KINDS",
    "Idle",
    "Limit",
    "Load",
    "LoadModel",
    "Metrics",
    "NginxAb",
    "PerfBenchMessaging",
    "StressNg",
    "Timing",
    "part_names",
]

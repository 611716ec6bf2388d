"""The loads: what keeps the CPU busy during a trial. One file per load.

To add a load: write a subclass of `LoadModel` (base.py) in a new file here, and add it to `OWN`. If it
needs a package, add a role `ansible/roles/NAME/` and the package's names for each release in its `packages.yml`.
`harness loads`, `--load`, the JSON Schema of experiment files and tests/contract/test_load.py then include it. A load
of somebody else comes in a package of its own, which kinds.py finds.
"""

from __future__ import annotations

from typing import Any

from harness.loads.base import Limit, Load, LoadModel, Metrics, StoredLoad, Timing, part_names
from harness.loads.command import Command
from harness.loads.compile import Compile
from harness.loads.encode import Encode
from harness.loads.fio import Fio
from harness.loads.hackbench import Hackbench
from harness.loads.idle import Idle
from harness.loads.kinds import Kinds
from harness.loads.mix import Mix
from harness.loads.nginx_ab import NginxAb
from harness.loads.nginx_wrk import NginxWrk
from harness.loads.perf_bench_messaging import PerfBenchMessaging
from harness.loads.pgbench import Pgbench
from harness.loads.redis import Redis
from harness.loads.rt_app import RtApp
from harness.loads.stress_ng import StressNg
from harness.loads.sysbench import Sysbench
from harness.loads.web import Web

OWN: dict[str, type[Any]] = {
    "nginx_ab": NginxAb,
    "nginx_wrk": NginxWrk,
    "web": Web,
    "pgbench": Pgbench,
    "redis": Redis,
    "hackbench": Hackbench,
    "perf_bench_messaging": PerfBenchMessaging,
    "stress_ng": StressNg,
    "sysbench": Sysbench,
    "rt_app": RtApp,
    "compile": Compile,
    "encode": Encode,
    "fio": Fio,
    "idle": Idle,
    "mix": Mix,
    "command": Command,
}
KINDS = Kinds(OWN)  # and those of installed packages
Mix.part_kinds = KINDS

__all__ = [
    "KINDS",
    "Command",
    "Compile",
    "Encode",
    "Fio",
    "Hackbench",
    "Idle",
    "Limit",
    "Load",
    "LoadModel",
    "Metrics",
    "Mix",
    "NginxAb",
    "NginxWrk",
    "PerfBenchMessaging",
    "Pgbench",
    "Redis",
    "RtApp",
    "StoredLoad",
    "StressNg",
    "Sysbench",
    "Timing",
    "Web",
    "part_names",
]

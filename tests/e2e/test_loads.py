"""Five loads that differ most, on the machine of the other tests: open loop, server, messages, periods, and a mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_campaign import Smoke, record_load

from harness import plan, spec
from harness.campaign import needs
from harness.guest import provision
from harness.progress import SilentWatcher

RECORD = {"warmup_s": 1.0, "seconds": 2.0, "buffer_kb": 65_536}
COMMAND = {
    "kind": "command",
    "prepare": "seq 50000 > numbers",
    "ready": "test -s numbers",
    "run": "while :; do gzip -c numbers | wc -c | sed 's/$/ bytes/'; done",
    "results": {"packed_bytes": "^([0-9]+) bytes$"},
}
LOADS: dict[str, dict[str, Any]] = {  # their packages are small
    "nginx_wrk": {"kind": "nginx_wrk", "arrivals": {"poisson": {"rate_per_s": 200.0}}},
    "redis": {"kind": "redis"},
    "perf_bench_messaging": {"kind": "perf_bench_messaging"},
    "encode": {"kind": "encode"},
    "mix": {"kind": "mix", "parts": [COMMAND, {"kind": "nginx_ab", "concurrency": 2}]},
}
METRICS = {
    "nginx_wrk": {"requests_per_s", "latency_p99_ms", "late_p99_ms"},
    "redis": {"operations_per_s", "latency_p99_ms"},
    "perf_bench_messaging": {"operations_per_s"},
    "encode": {"frames_per_s", "latency_p99_ms"},
    "mix": {"command.packed_bytes", "nginx_ab.requests_per_s"},
}


@pytest.fixture(scope="module")
def provisioned(smoke: Smoke, tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    """The kept machine with the packages of these loads; apt's folders are as empty as before."""
    base = spec.to_dict(smoke.folder.experiment)
    trials = [trial for load in LOADS.values() for trial in plan.trials(spec.from_dict({**base, "load": load}))]
    needed, there = needs.of(trials), smoke.folder.manifest["box"]["provisioned"]["roles"]
    missing, folder = [role for role in needed.roles if role not in there], tmp_path_factory.mktemp("provision")
    provision.apply([smoke.host], missing, folder, SilentWatcher(), needed.variables)
    with smoke.host as host:
        host.run("apt-get clean; rm -rf /var/lib/apt/lists/*", timeout_s=240, sudo=True)
    return smoke


@pytest.mark.parametrize("name", LOADS)
def test_a_load_runs_to_the_end_keeps_its_limits_and_says_what_it_measured(
    provisioned: Smoke, name: str, tmp_path: Path
) -> None:
    trial = record_load(
        provisioned.host, provisioned.domain, provisioned.folder, LOADS[name], RECORD, tmp_path / "trials"
    )
    assert [check for check in trial["verdict"]["checks"] if not check["ok"]] == []
    assert METRICS[name] <= set(trial["metrics"])
    assert trial["idle_share"] < 0.2 or name == "nginx_wrk"

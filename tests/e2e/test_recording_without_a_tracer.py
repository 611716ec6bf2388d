"""A trial without a tracer, on the machine of the other tests: the load runs, perf does not."""

from __future__ import annotations

import json
from pathlib import Path

from real_campaign import Smoke, record_load


def test_without_a_tracer_the_load_runs_as_long_and_no_perf_runs_beside_it(smoke: Smoke, tmp_path: Path) -> None:
    record = {"warmup_s": 1.0, "seconds": 2.0, "tracer": "none"}
    trial = record_load(smoke.host, smoke.domain, smoke.folder, {"kind": "nginx_ab"}, record, tmp_path / "trials")
    *_, written = sorted((tmp_path / "trials").glob("[0-9]*/trial.json"))
    assert [check for check in trial["verdict"]["checks"] if not check["ok"]] == []
    assert trial["metrics"]["requests_completed"] > 10
    assert trial["guest_switches_per_s"] > trial["metrics"]["requests_per_s"]  # ab and nginx take turns
    assert trial["guest_connections_per_s"] > trial["metrics"]["requests_per_s"] / 2  # one request a connection
    guest = json.loads((written.parent / "guest.json").read_text())
    for tasks in guest["facts"]["tasks"].values():
        names = {task["comm"] for task in tasks}
        assert {"ab", "nginx"} <= names
        assert not [name for name in names if name.startswith("perf")]
    assert {path.name for path in written.parent.iterdir()} >= {"guest.json", "load.txt"}
    assert not [*written.parent.glob("perf.data*"), *written.parent.glob("*.parquet")]

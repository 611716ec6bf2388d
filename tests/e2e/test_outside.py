"""A real machine seen from outside, beside what its guest says of itself over SSH."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from real_campaign import VIRSH, Smoke

from harness import plan, spec
from harness.campaign import attempt
from harness.guest.remote import Host
from harness.machines.libvirt_monitor import LibvirtMonitor
from harness.progress import SilentWatcher

PAUSE_S = 15.0


def uptime(host: Host) -> float:
    return float(host.run("cut -d' ' -f1 /proc/uptime", timeout_s=240).stdout)


def test_the_clock_that_the_host_reads_is_the_guests_own(smoke: Smoke, tmp_path: Path) -> None:
    monitor = smoke.monitor(tmp_path)
    with smoke.host as host:
        outer, first = monitor.guest_seconds(), uptime(host)
        inner = monitor.guest_seconds()
        host.run("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done", timeout_s=240)
        inner_end, last = monitor.guest_seconds(), uptime(host)
        outer_end = monitor.guest_seconds()
    assert None not in (outer, inner, inner_end, outer_end)
    assert inner_end - inner - 1.0 <= last - first <= outer_end - outer + 1.0  # type: ignore[operator]


def test_the_host_sees_the_console_the_cpu_time_and_the_process_of_the_machine(smoke: Smoke, tmp_path: Path) -> None:
    monitor = smoke.monitor(tmp_path)
    before = monitor.cpu_times()
    assert 0 < monitor.console_size() <= len(monitor.console().encode()) + monitor.console().count("\n")
    assert "harness-ready" in monitor.console()
    (process,) = monitor.process_ids()
    assert smoke.domain.encode() in Path(f"/proc/{process}/cmdline").read_bytes()
    after = monitor.cpu_times()
    assert before is not None and after is not None  # noqa: PT018
    assert after.run_ns >= before.run_ns


def test_the_facts_name_the_clock_and_what_was_done_for_the_vcpu(smoke: Smoke) -> None:
    facts = smoke.folder.manifest["machine"]
    emulated = facts["accelerator"] == "tcg"
    assert (facts["clock"], facts["cpu_speed"]) == (("counted", 125) if emulated else ("host", None))
    assert facts["clock_reason"]
    assert facts["vcpu_placement"]


def test_a_machine_that_is_suspended_while_it_records_gives_a_whole_trial_that_says_so(
    smoke: Smoke, tmp_path: Path
) -> None:
    changes = {"record.seconds": 30.0, "record.warmup_s": 0.0}
    (trial,) = plan.trials(spec.apply(smoke.folder.experiment, changes))
    facts, target = smoke.folder.manifest["machine"], tmp_path / "trial"
    arguments = (smoke.host, trial, target, 7, facts, SilentWatcher(), smoke.monitor(tmp_path))
    (tmp_path / "other").mkdir()
    with ThreadPoolExecutor(1) as pool:
        attempted = pool.submit(attempt.make, *arguments)
        suspend(smoke.domain, smoke.monitor(tmp_path / "other"), f"harness-trial {trial.name}-a7", attempted)
    attempted.result()
    record = json.loads((target / "trial.json").read_text())
    failed = [check["name"] for check in record["verdict"]["checks"] if not check["ok"]]
    assert failed == ([] if record["clock"] == "counted" else ["clock steps"])
    assert record["host"]["paused_s"] >= 0.9 * PAUSE_S
    before = json.loads((smoke.folder.trial_dir("000_nginx_ab") / "trial.json").read_text())
    assert before["host"]["paused_s"] < PAUSE_S / 3  # 0 unless a very busy host stops QEMU itself


def suspend(domain: str, monitor: LibvirtMonitor, label: str, attempted: Future[Any]) -> None:
    """Suspend the machine for `PAUSE_S` once its guest records."""
    while f"{label} recording" not in monitor.console():
        assert not attempted.done(), attempted.exception()
        time.sleep(0.2)
    subprocess.run([*VIRSH, "suspend", domain], check=True)
    try:
        assert f"{label} recorded" not in monitor.console()
        time.sleep(PAUSE_S)
    finally:
        subprocess.run([*VIRSH, "resume", domain], check=True)

"""A real machine seen from outside, beside what its guest says of itself over SSH."""

from __future__ import annotations

from pathlib import Path

from real_campaign import Smoke

from harness.guest.remote import Host


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

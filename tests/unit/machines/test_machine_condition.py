"""What became of a machine, asked of a real libvirtd that has a real QEMU: paused, killed, and the daemon restarted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import waiting
from own_libvirtd import DOMAIN, OwnLibvirtd, own_libvirtd

from harness.guest.monitor import RUNNING
from harness.machines import libvirt
from harness.machines.libvirt_monitor import STOPPED, LibvirtMonitor
from harness.noise import machine_processes

pytestmark = pytest.mark.slow


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnLibvirtd]:
    with own_libvirtd() as started:
        monkeypatch.setattr(libvirt, "URI", started.uri)
        monkeypatch.setattr(libvirt, "ASK_LIMIT_S", 30.0)  # of a busy host
        yield started


@pytest.fixture
def monitor(daemon: OwnLibvirtd, tmp_path: Path) -> LibvirtMonitor:
    return LibvirtMonitor(DOMAIN, tmp_path / "console.log", tmp_path / "copy")


def qemu() -> int:
    return next(process for process, name in machine_processes.machines() if name == DOMAIN)


def test_a_machine_that_is_paused_stopped_and_killed_is_told_apart(
    daemon: OwnLibvirtd, monitor: LibvirtMonitor
) -> None:
    assert monitor.condition() == RUNNING
    daemon.virsh("suspend", DOMAIN)
    assert (monitor.condition().state, monitor.condition().why) == ("paused", libvirt.WHY["paused (user)"])
    daemon.virsh("resume", DOMAIN)
    assert monitor.condition() == RUNNING
    os.kill(qemu(), signal.SIGSTOP)
    assert waiting.until(lambda: monitor.condition() == STOPPED)
    os.kill(qemu(), signal.SIGKILL)
    assert waiting.until(lambda: monitor.condition().why == libvirt.WHY["shut off (crashed)"])


def test_a_guest_that_reboots_ends_its_machine(daemon: OwnLibvirtd, monitor: LibvirtMonitor) -> None:
    assert monitor.condition() == RUNNING
    daemon.virsh("reset", DOMAIN)
    assert waiting.until(lambda: monitor.condition().why == libvirt.WHY["shut off (shutdown)"])


def test_a_connection_that_breaks_in_the_middle_of_the_question_does_not_end_the_machine(
    daemon: OwnLibvirtd, monitor: LibvirtMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = set()
    for requests in range(12):
        monkeypatch.setattr(libvirt, "URI", daemon.breaking_uri(requests))
        told.add(monitor.condition())
    assert told == {libvirt.SILENT, RUNNING}


def test_a_machine_runs_on_while_its_libvirtd_starts_again_and_its_end_is_seen_without_one(
    daemon: OwnLibvirtd, monitor: LibvirtMonitor
) -> None:
    assert monitor.condition() == RUNNING
    daemon.kill()
    assert monitor.condition() == libvirt.SILENT
    daemon.start()
    assert monitor.condition() == RUNNING
    daemon.kill()
    os.kill(qemu(), signal.SIGKILL)
    assert waiting.until(lambda: monitor.condition().state == "ended")

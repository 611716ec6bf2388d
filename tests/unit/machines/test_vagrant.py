"""A machine that is interrupted or fails while it starts is removed; the contract and e2e tests test the rest."""

from __future__ import annotations

import lzma
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from fakes import FakeMonitor
from locations import DATA

from harness.errors import HostError, Interrupted, LostMachineError, MachineError, RemoteError
from harness.guest.monitor import Condition
from harness.guest.remote import Host
from harness.guest.vigil import Vigil
from harness.interrupt import stop_signals_raise
from harness.machines import registry, vagrant
from harness.machines.libvirt_monitor import LibvirtMonitor
from harness.machines.vagrant import VagrantMachine
from harness.progress import SilentWatcher
from harness.spec import MachineSpec


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VagrantMachine:
    monkeypatch.setattr(VagrantMachine, "_prepare", lambda _: None)
    return VagrantMachine(MachineSpec(box="a/b"), "a/b", tmp_path, "guest")


def test_libvirt_is_asked_whether_it_answers_for_its_own_machines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise HostError("libvirtd does not answer: refused")

    monkeypatch.setattr(vagrant.libvirt, "check", refused)
    monkeypatch.setattr(vagrant.shutil, "which", lambda _: "/usr/bin/vagrant")
    VagrantMachine.check_engine(MachineSpec(box="a/b", hypervisor="virtualbox"))
    with pytest.raises(HostError, match="libvirtd does not answer: refused"):
        VagrantMachine.check_engine(MachineSpec(box="debian-12"))
    monkeypatch.setattr(vagrant.shutil, "which", lambda _: None)
    with pytest.raises(HostError, match="'vagrant' is not installed"):
        VagrantMachine.check_engine(MachineSpec(box="a/b", hypervisor="virtualbox"))


def test_an_interrupt_during_the_removal_of_a_failed_machine_waits_for_the_removal(
    machine: VagrantMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Host:
        calls.append("start")
        raise MachineError("it did not come up")

    def down(_: VagrantMachine) -> None:
        if "start" in calls:
            os.kill(os.getpid(), signal.SIGTERM)
            calls.append("down")

    calls: list[str] = []
    monkeypatch.setattr(VagrantMachine, "_start", fail)
    monkeypatch.setattr(VagrantMachine, "down", down)
    with stop_signals_raise(), pytest.raises(Interrupted):
        machine.up(SilentWatcher())
    assert calls == ["start", "down"]


class Vagrant:
    """A Vagrant whose machine runs from the second line of output on."""

    def __init__(self, running: list[bool]) -> None:
        self.running, self.log = running, Path("vagrant.log")
        self.clocks: list[Callable[[], float]] = []

    def up(
        self,
        provider: str,
        *,
        limit_s: float,
        on_line: Callable[[str], None],
        clock: Callable[[], float],
        give_up: Callable[[], bool],
    ) -> None:
        self.clocks.append(clock)
        on_line("==> guest: Creating domain")
        self.running.append(True)
        on_line("==> guest: Waiting for domain to get an IP address...")
        on_line("==> guest: Machine booted and ready!")

    def ssh_config(self) -> dict[str, str]:
        return {"HostName": "192.0.2.1", "Port": "22", "User": "vagrant", "IdentityFile": "key"}


def test_the_limits_of_a_machine_follow_its_threads_from_the_moment_it_runs(
    machine: VagrantMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads(_: LibvirtMonitor) -> tuple[int, ...]:
        asked.append(bool(running))
        if not running:
            raise MachineError("the machine does not run any more")
        return (os.getpid(),)

    running: list[bool] = []
    asked: list[bool] = []
    fake = Vagrant(running)
    monkeypatch.setattr(LibvirtMonitor, "threads", threads)
    monkeypatch.setattr(
        "harness.machines.placement.raise_weight", lambda domain, clock: f"{domain} is heavier on the {clock}'s"
    )
    machine._domain, machine._monitor = "harness-0-guest", LibvirtMonitor("harness-0-guest", Path("log"), Path("copy"))
    host = machine._power_on(cast(Any, fake), "tcg", SilentWatcher())
    assert machine._pace.following
    assert asked[:2] == [False, True]
    assert fake.clocks == [machine._pace]
    assert host.clock is machine._pace
    assert machine._placement == "harness-0-guest is heavier on the host's"


def test_the_address_of_a_guest_is_waited_for_in_its_own_time(
    machine: VagrantMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([None, None, "192.168.122.7", None, None])
    readings = iter([0.0, 100.0, 419.0, 0.0, 419.0, 420.0])
    monkeypatch.setattr("harness.machines.libvirt.address", lambda _: next(answers))
    monkeypatch.setattr("harness.machines.hostkey.LOOK_S", 0.0)
    monkeypatch.setattr(machine, "_pace", lambda: next(readings))
    vigil = Vigil(FakeMonitor(), "guest")
    assert machine._leased_address(420.0, vigil) == "192.168.122.7"
    with pytest.raises(MachineError, match="asked for no address of the network 'default'"):
        machine._leased_address(420.0, vigil)


def test_a_machine_that_cannot_be_reached_is_a_machine_error(
    machine: VagrantMachine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RemoteError("connection refused")

    host = Host("192.0.2.1", 22, "vagrant", tmp_path / "key", tmp_path / "known_hosts", "guest")
    monkeypatch.setattr(VagrantMachine, "_start", lambda *_: host)
    monkeypatch.setattr(VagrantMachine, "down", lambda _: None)
    monkeypatch.setattr(Host, "run", refuse)
    with pytest.raises(MachineError, match="connection refused"):
        machine.up(SilentWatcher())


def test_an_incomplete_settings_file_belongs_to_no_machine(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"prefix": "harness-1-", "name": "guest"}')
    assert vagrant._belongs_to(tmp_path, "harness-1-guest")
    settings.write_text('{"prefix": "harn')
    assert not vagrant._belongs_to(tmp_path, "harness-1-guest")


def test_a_machine_is_removed_also_when_its_console_cannot_be_copied(
    machine: VagrantMachine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> bool:
        raise HostError("the disk is full")

    removed: list[str] = []
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("harness.machines.libvirt.fetch_console", full)
    monkeypatch.setattr(vagrant, "remove", lambda entry: removed.append(entry.domain))
    registry.record("harness-0-guest", "libvirt", machine.folder)
    machine._domain = "harness-0-guest"
    with pytest.raises(HostError, match="the disk is full"):
        machine.down()
    assert removed == ["harness-0-guest"]


EMERGENCY = lzma.decompress((DATA / "consoles" / "debian_12_emergency.log.xz").read_bytes()).decode(errors="replace")


class Ended(FakeMonitor):
    """A machine that has ended."""

    def condition(self) -> Condition:
        return Condition("ended", "the guest shut down or rebooted")


@pytest.mark.parametrize(
    ("console", "monitor", "kind", "what", "hint"),
    [
        (EMERGENCY, FakeMonitor(), MachineError, "systemd stopped in emergency mode, without SSH", "FAILED or DEPEND"),
        (EMERGENCY, Ended(), MachineError, "systemd stopped in emergency mode, without SSH", "FAILED or DEPEND"),
        ("", FakeMonitor(), MachineError, "it was silent; it printed nothing on its serial console", "CONFIG_PRINTK"),
        (
            "[ 0.1] Linux version 6\n",
            Ended(),
            LostMachineError,
            "the guest shut down or rebooted; it got as far as its k",
            "",
        ),
    ],
)
def test_a_machine_that_did_not_come_up_is_told_with_how_far_it_got(
    machine: VagrantMachine, console: str, monitor: FakeMonitor, kind: type[Exception], what: str, hint: str
) -> None:
    machine.console.write_text(console)
    vigil = Vigil(monitor, "guest", reads_console=False)
    error = machine._not_up(MachineError("it was silent", hint="build it with CONFIG_PRINTK"), vigil)
    assert isinstance(error, kind)
    assert what in error.what
    assert hint in (error.hint or "")
    assert error.log == str(machine.console)

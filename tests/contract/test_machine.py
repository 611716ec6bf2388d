"""The contract of every machine. The end-to-end tests start and remove a real VM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeMonitor

from harness import machines
from harness.errors import HarnessError, MachineError
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.machines import Machine, VagrantMachine, registry
from harness.progress import SilentWatcher, Watcher
from harness.spec import MachineSpec

Make = Callable[[Path], Machine]


class Bench:
    """A machine that starts nothing: a stand-in for a VM in the tests of a campaign."""

    @staticmethod
    def check_engine(spec: MachineSpec) -> None:
        """Nothing runs it, so nothing is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._up = folder, False

    def up(self, watcher: Watcher) -> list[Host]:
        watcher.note("up")
        self._up = True
        return [Host("192.0.2.1", 22, "vagrant", self.folder / "key", self.folder / "known_hosts", "bench")]

    def down(self) -> None:
        self._up = False

    def monitor(self) -> Monitor:
        if not self._up:
            raise MachineError("the machine is not up")
        return FakeMonitor()

    def facts(self) -> dict[str, Any]:
        return {"accelerator": "none", "cpus": 1, "kernel": "6.1.0"} if self._up else {}


def vagrant(folder: Path) -> Machine:
    return VagrantMachine(MachineSpec(box="debian-12"), "nobody/no-such-box", folder, "vm")


@pytest.fixture(params=[Bench, vagrant], ids=["bench", "vagrant"])
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    make: Make = request.param
    return make(tmp_path / "run" / "machine")


def test_the_constructor_does_nothing(machine: Machine, tmp_path: Path) -> None:
    assert isinstance(machine, Machine)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_is_not_up_has_no_facts(machine: Machine) -> None:
    assert machine.facts() == {}


def test_a_machine_that_is_not_up_cannot_be_seen_from_outside(machine: Machine) -> None:
    with pytest.raises(MachineError, match="not up"):
        machine.monitor()


def test_a_machine_that_does_not_exist_can_be_removed_any_number_of_times(machine: Machine) -> None:
    machine.down()
    machine.down()


def test_changing_the_returned_facts_changes_no_machine(machine: Machine) -> None:
    machine.facts()["kernel"] = "mine"
    assert machine.facts() == {}


def test_a_machine_comes_up_with_hosts_and_facts_more_than_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(2):
        (host,) = bench.up(SilentWatcher())
        assert (host.user, host.port) == ("vagrant", 22)
        assert {"accelerator", "cpus", "kernel"} <= set(bench.facts())
        assert isinstance(bench.monitor(), Monitor)
        bench.down()
        assert bench.facts() == {}


def test_every_kind_is_a_machine(tmp_path: Path) -> None:
    for kind in machines.KINDS.values():
        assert isinstance(kind(MachineSpec(box="debian-12"), "a/b", tmp_path, "vm"), Machine)


@pytest.fixture
def broken_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose libvirt answers, without volumes and domains, and whose Vagrant fails."""
    programs = tmp_path / "bin"
    programs.mkdir()
    replies = {
        "vagrant": 'echo "$1" >>"$CALLS"; [ "$1" = destroy ] && exit 0; echo "The box could not be found."; exit 1',
        "virsh": 'case "$*" in *net-info*) echo "Active: yes";; *pool-info*) echo "State: running";; '
        '*net-dumpxml*) echo "<network><ip address=\\"192.0.2.1\\" netmask=\\"255.255.255.0\\"/></network>";; '
        '*vol-download*) for last; do :; done; echo "Kernel panic" >"$last";; '
        "*vol-path*) echo /pool/console.log;; *) :;; esac",
        "setpriv": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
    }
    for name, script in replies.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    return tmp_path


def test_a_vm_that_does_not_come_up_is_reported_with_its_console_and_leaves_nothing(broken_host: Path) -> None:
    folder = broken_host / "a run" / "machine"
    with pytest.raises(MachineError) as caught:
        VagrantMachine(MachineSpec(box="debian-12", accelerator="tcg"), "a/b", folder, "vm").up(SilentWatcher())
    assert "The box could not be found." in caught.value.what
    assert "Kernel panic" in caught.value.what
    assert caught.value.log == str(folder / "console.log")
    assert (folder / "console.log").read_text() == "Kernel panic\n"
    assert (broken_host / "calls").read_text().split() == ["up"]
    assert machines.left_behind() == []
    assert list((broken_host / "state" / "machines").iterdir()) == []


def test_a_host_without_libvirt_is_an_error_before_anything_is_made(broken_host: Path) -> None:
    (broken_host / "bin" / "virsh").write_text("#!/bin/sh\necho 'error: failed to connect to the hypervisor'; exit 1\n")
    folder = broken_host / "run" / "machine"
    with pytest.raises(HarnessError, match="libvirtd does not answer") as caught:
        VagrantMachine(MachineSpec(box="debian-12", accelerator="tcg"), "a/b", folder, "vm").up(SilentWatcher())
    assert caught.value.exit_code == 3
    assert not folder.exists()


VBOXMANAGE = """#!/bin/sh
case "$1" in
list) echo '"another" {0f}'; [ ! -e "$VMS/gone" ] && echo '"harness-0-vm" {1a}'; exit 0 ;;
controlvm) touch "$VMS/off" ;;
unregistervm)
    [ -e "$VMS/off" ] || { echo "error: the machine is running"; exit 1; }
    [ -e "$VMS/unlocked" ] || { touch "$VMS/$2-is-locked"; [ -e "$VMS/stuck" ] || touch "$VMS/unlocked"
                                echo "error: the machine is locked"; exit 1; }
    [ "$2 $3" = "harness-0-vm --delete" ] && touch "$VMS/gone" ;;
esac
"""


@pytest.fixture
def virtualbox_host(broken_host: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a machine in VirtualBox that stays locked for a moment after it is powered off."""
    (broken_host / "bin" / "VBoxManage").write_text(VBOXMANAGE)
    (broken_host / "bin" / "VBoxManage").chmod(0o755)
    (broken_host / "vms").mkdir()
    monkeypatch.setenv("VMS", str(broken_host / "vms"))
    monkeypatch.setattr("harness.machines.virtualbox.UNLOCK_S", 200.0)
    return broken_host / "vms"


def test_a_virtualbox_machine_whose_folder_is_gone_is_removed_by_its_name(virtualbox_host: Path) -> None:
    machines.remove(registry.record("harness-0-vm", "virtualbox", virtualbox_host / "no-such-folder"))
    assert (virtualbox_host / "gone").exists()
    assert registry.entries() == []


def test_a_virtualbox_machine_that_stays_is_reported_with_the_commands_and_stays_registered(
    virtualbox_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.machines.virtualbox.UNLOCK_S", 0.0)
    (virtualbox_host / "stuck").touch()
    entry = registry.record("harness-0-vm", "virtualbox", virtualbox_host / "no-such-folder")
    with pytest.raises(
        MachineError, match="'harness-0-vm' could not be removed: error: the machine is locked"
    ) as caught:
        machines.remove(entry)
    assert "VBoxManage unregistervm harness-0-vm --delete" in str(caught.value.hint)
    assert registry.entries() == [entry]


def test_without_virtualbox_a_machine_counts_as_removed(broken_host: Path) -> None:
    machines.remove(registry.record("harness-0-vm", "virtualbox", broken_host / "no-such-folder"))
    assert registry.entries() == []


def test_a_machine_stays_registered_when_libvirtd_does_not_answer(broken_host: Path) -> None:
    entry = registry.record("harness-0-vm", "libvirt", broken_host / "run" / "machine")
    (broken_host / "bin" / "virsh").write_text("#!/bin/sh\necho 'error: failed to connect to the hypervisor'; exit 1\n")
    with pytest.raises(HarnessError, match="libvirtd does not answer"):
        machines.remove(entry)
    assert registry.entries() == [entry]

"""What is read from virsh's output; the contract and e2e tests run the real one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from own_libvirtd import own_libvirtd

from harness.errors import HostError, MachineError
from harness.guest.monitor import RUNNING
from harness.machines import libvirt
from harness.processes import ProcessResult

LEASE = """ Name       MAC address          Protocol     Address
-------------------------------------------------------------------------------
 vnet9      52:54:00:bb:1f:c5    ipv4         192.168.122.123/24
"""
OVERLAY = """<volume type='file'><name>harness-1-guest.img</name><physical unit='bytes'>197120</physical>
<backingStore><path>/pool/the box.img</path><format type='qcow2'/></backingStore></volume>"""

Answer = Callable[[str, bool], None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Let virsh print this and succeed or fail."""

    def set_answer(text: str, ok: bool = True) -> None:
        result = ProcessResult(("virsh",), 0 if ok else 1, text, 0.1, False)
        monkeypatch.setattr(libvirt, "virsh", lambda *_, **__: result)

    return set_answer


def test_the_address_is_the_one_that_was_leased(answer: Answer) -> None:
    answer(LEASE, True)
    assert libvirt.address("guest") == "192.168.122.123"


@pytest.mark.parametrize(("text", "ok"), [("", True), ("error: failed to get domain 'guest'", False)])
def test_a_machine_without_a_lease_has_no_address(answer: Answer, text: str, ok: bool) -> None:
    answer(text, ok)
    assert libvirt.address("guest") is None


def test_the_disk_of_a_machine_is_its_first_one(answer: Answer) -> None:
    answer(" Target   Source\n-----------\n vda      /pool/harness-1-guest.img\n vdb   /pool/other.img\n", True)
    assert libvirt.disk_volume("guest") == "harness-1-guest.img"
    answer("error: failed to get domain 'guest'", False)
    with pytest.raises(MachineError, match="no disk"):
        libvirt.disk_volume("guest")


def test_a_domain_that_does_not_exist_has_no_state(answer: Answer) -> None:
    answer("shut off\n\n", True)
    assert libvirt.state("guest") == "shut off"
    answer("error: failed to get domain 'guest'", False)
    assert libvirt.state("guest") == ""


def test_the_disks_of_machines_are_those_with_the_box_as_backing_file(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = ["harness-VAGRANTSLASH-debian-12-0123_vagrant_box_image_1.0.0_box.img", "harness-debian-12-0123-initrd"]
    monkeypatch.setattr(libvirt, "volumes", lambda: ["harness-1-guest.img", "of-others.img", *copies])
    answer(OVERLAY, True)
    assert libvirt.overlays(["the box.img"]) == ["harness-1-guest.img"]
    assert libvirt.overlays(["another.img"]) == []
    answer("error: no such volume", False)  # it was removed in the meantime
    assert libvirt.overlays(["the box.img"]) == []


@pytest.mark.parametrize(
    ("commands", "state", "why"),
    [
        ("", "running", ""),
        ("suspend test;", "paused", "somebody paused the machine (virsh suspend)"),
        ("suspend test; resume test;", "running", ""),
        ("destroy test;", "ended", "somebody ended the machine (virsh destroy)"),
        ("shutdown test;", "ended", "the guest shut down or rebooted, or QEMU was told to end by a signal"),
        ("destroy test; undefine test;", "ended", "somebody removed the machine: libvirt does not know it any more"),
    ],
)
def test_what_became_of_a_machine_is_told_in_the_words_of_libvirts_own_test_driver(
    commands: str, state: str, why: str
) -> None:
    """The driver `test:///default` is a libvirt without a hypervisor, whose one machine lives as long as a virsh."""
    argv = ["virsh", "-q", "-c", "test:///default", f"{commands} domstate --reason test"]
    answer = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    last = answer.stdout.strip().splitlines()[-1]
    condition = libvirt.condition_of(answer.returncode == 0, last)
    assert (condition.state, condition.why) == (state, why)


@pytest.mark.parametrize(
    ("answer", "state", "why"),
    [
        ("shut off (crashed)", "ended", "QEMU ended all of a sudden"),
        ("shut off (saved)", "ended", "somebody saved the machine to disk and ended it (virsh managedsave)"),
        ("paused (I/O error)", "paused", "disk could not be written"),
        ("paused (crashed)", "ended", "panicked"),
        ("crashed (panicked)", "ended", "panicked"),
        ("pmsuspended (unknown)", "paused", "the guest suspended itself"),
        ("paused (saving)", "paused", "libvirt says `paused (saving)`"),
        ("no state", "unknown", "libvirt says `no state`"),
    ],
)
def test_what_became_of_a_machine_is_told_for_states_that_only_qemu_has(answer: str, state: str, why: str) -> None:
    condition = libvirt.condition_of(True, f"{answer}\n\n")
    assert condition.state == state
    assert why in condition.why


def test_a_machine_that_starts_or_shuts_down_runs_and_a_libvirt_that_does_not_answer_says_nothing() -> None:
    assert libvirt.condition_of(True, "paused (starting up)") == libvirt.condition_of(True, "in shutdown") == RUNNING
    unreachable = "error: failed to connect to the hypervisor\nerror: Cannot read from socket: Connection refused"
    assert libvirt.condition_of(False, unreachable).state == "unknown"
    assert libvirt.condition_of(False, "").state == "unknown"


def test_a_libvirtd_that_starts_again_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    down = ProcessResult(("virsh",), 1, "error: failed to connect to the hypervisor", 0.1, False)
    answers = [down, down, ProcessResult(("virsh",), 0, "one\ntwo\n", 0.1, False)]
    monkeypatch.setattr(libvirt, "virsh", lambda *_, **__: answers.pop(0))
    monkeypatch.setattr("harness.machines.libvirt.time.sleep", lambda _: None)
    assert libvirt.domains() == ["one", "two"]
    monkeypatch.setattr(libvirt, "RESTART_S", 0.0)
    answers[:] = [down]
    with pytest.raises(HostError, match="libvirtd does not answer"):
        libvirt.domains()


VIRSH = """#!/bin/sh
# A pool is a folder, whose volumes are what it held when it was last refreshed; a machine is a name in a file.
while [ "$1" != "qemu:///system" ]; do shift; done; shift
cd "$FAKE"
case "$1" in
list) cat machines ;;
destroy | undefine) sed -i "/^$2$/d" machines ;;
pool-refresh) ls pool > volumes ;;
vol-list) sed "s|.*|& $FAKE/pool/&|" volumes ;;
vol-path) grep -qxF -- "$4" volumes && echo "$FAKE/pool/$4" ;;
vol-delete) grep -qxF -- "$4" volumes && sed -i "/^$4$/d" volumes && rm "pool/$4" ;;
esac
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a fake pool with the consoles of two machines, one of which turned over beside libvirt's back."""
    pool, bin_folder = tmp_path / "pool", tmp_path / "bin"
    for folder in (pool, bin_folder):
        folder.mkdir()
    (bin_folder / "virsh").write_text(VIRSH)
    (bin_folder / "virsh").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_folder), prepend=":")
    monkeypatch.setenv("FAKE", str(tmp_path))
    (tmp_path / "machines").write_text("harness-1-guest\nharness-2-guest\n")
    for name in ("harness-1-guest-console.log", "harness-2-guest-console.log", "of-others-console.log.0"):
        (pool / name).touch()
    libvirt.refresh_pool()
    for number in range(3):
        (pool / f"harness-1-guest-console.log.{number}").touch()
    return pool


def names(pool: Path) -> list[str]:
    return sorted(path.name for path in pool.iterdir())


def test_what_a_flooded_console_left_in_the_pool_goes_with_its_machine(pool: Path) -> None:
    libvirt.remove_domain("harness-1-guest")
    assert names(pool) == ["harness-2-guest-console.log", "of-others-console.log.0"]


def test_what_consoles_left_in_the_pool_is_removed_only_of_machines_that_are_gone(pool: Path) -> None:
    libvirt.refresh_pool()
    libvirt.remove_left_consoles()
    assert len(names(pool)) == 6
    (pool.parent / "machines").write_text("harness-2-guest\n")
    libvirt.remove_left_consoles()
    assert names(pool) == ["harness-1-guest-console.log", "harness-2-guest-console.log", "of-others-console.log.0"]


def test_a_pool_whose_consoles_did_not_turn_over_is_not_refreshed(pool: Path) -> None:
    (pool / "made by another program").touch()
    libvirt.remove_domain("harness-2-guest")
    assert "made by another program" not in (pool.parent / "volumes").read_text().splitlines()


@pytest.mark.slow
def test_a_real_libvirt_finds_what_its_log_daemon_put_aside_and_removes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_libvirtd(with_machine=False) as daemon:
        monkeypatch.setattr(libvirt, "URI", daemon.uri)
        pool = daemon.folder / "cache" / "pool"
        daemon.virsh("pool-define-as", libvirt.POOL, "dir", "--target", str(pool))
        daemon.virsh("pool-build", libvirt.POOL)
        daemon.virsh("pool-start", libvirt.POOL)
        console = Path(libvirt.console_volume("harness-1-guest"))
        for name in ("harness-1-guest-console.log.0", "harness-1-guest-console.log.2", "harness-2-guest-console.log.1"):
            (console.parent / name).write_text("flood")
        assert libvirt.volumes() == ["harness-1-guest-console.log"]
        libvirt.remove_domain("harness-1-guest")
        assert names(console.parent) == ["harness-2-guest-console.log.1"]
        libvirt.remove_left_consoles()
        assert names(console.parent) == []

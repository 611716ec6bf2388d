"""The disk of a machine is copied as one file that needs no other; qemu-img is real, libvirt is a folder of volumes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxes_on_disk import ROLES, forge_box, provisioning

from harness import processes
from harness.boxes import Box, cache, provisioned
from harness.errors import DamagedBoxError, HostError, MachineError, RemoteError, TransientError
from harness.guest.remote import Host, Result
from harness.machines import disk, libvirt
from harness.processes import ProcessResult
from harness.progress import SilentWatcher

MIB = 1 << 20
DOMAIN = {"domain": "harness-1-guest"}


class Guest(Host):
    """A guest that answers every command; `commands` are those it was given, `fails` those that raise an error."""

    def __init__(self, folder: Path) -> None:
        super().__init__("192.0.2.1", 22, "vagrant", folder / "key", folder / "known_hosts", "guest")
        self.commands: list[str] = []
        self.fails: dict[str, RemoteError] = {}

    def run(self, command: str, **_: Any) -> Result:  # type: ignore[override]
        self.commands.append(command)
        for part, error in self.fails.items():
            if part in command:
                raise error
        return Result(command, 0, "nginx 1.22.1-9\n", "", 0.1)


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box whose disk begins with AA."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    box = forge_box(cache.root())
    box.image.unlink()
    raw(tmp_path / "base.raw", b"A" * MIB + b"\0" * MIB)
    qemu_img("convert", "-O", "qcow2", str(tmp_path / "base.raw"), str(box.image))
    cache.write_manifest(box.folder, box)
    return box


@pytest.fixture
def pool(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pool: a copy of the box's disk, and the machine's overlay on it, whose second half was written."""
    pool = tmp_path / "pool"
    pool.mkdir()
    shutil.copyfile(box.image, pool / "box.img")
    overlay = pool / "harness-1-guest.img"
    qemu_img("create", "-f", "qcow2", "-b", str(pool / "box.img"), "-F", "qcow2", str(overlay))
    subprocess.run(["qemu-io", "-c", f"write -P 66 {MIB} {MIB}", str(overlay)], check=True, capture_output=True)
    monkeypatch.setattr(libvirt, "virsh", virsh_of(pool))
    return pool


def virsh_of(pool: Path, states: list[str] | None = None) -> Callable[..., ProcessResult]:
    left = list(states or ["shut off"])

    def virsh(*args: str, timeout_s: float = 60) -> ProcessResult:
        output, code = "", 0
        if args[0] == "domblklist":
            output = f" Target   Source\n------------\n vda      {pool}/harness-1-guest.img\n"
        elif args[0] == "domstate":
            output = f"{left.pop(0) if len(left) > 1 else left[0]}\n"
        else:
            assert args[:3] == ("vol-download", "--pool", libvirt.POOL)
            shutil.copyfile(pool / args[3], args[4])
        return ProcessResult(("virsh", *args), code, output, 0.1, False)

    return virsh


def raw(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def qemu_img(*args: str) -> None:
    subprocess.run(["qemu-img", *args], check=True, capture_output=True)


def keep(guest: Guest, box: Box) -> provisioned.ProvisionedBox:
    return disk.keep(DOMAIN, guest, box, provisioned.key(box.digest, ROLES), provisioning(box), SilentWatcher())


def test_the_kept_disk_holds_what_the_box_and_the_machine_wrote_and_needs_no_other_file(
    guest: Guest, box: Box, pool: Path, tmp_path: Path
) -> None:
    kept = keep(guest, box)
    shutil.rmtree(pool)
    box.image.unlink()
    qemu_img("convert", "-O", "raw", str(kept.image), str(tmp_path / "kept.raw"))
    assert (tmp_path / "kept.raw").read_bytes() == b"A" * MIB + b"B" * MIB
    assert provisioned.find(provisioned.key(box.digest, ROLES)) == kept
    assert (kept.folder / "packages").read_text() == "nginx 1.22.1-9\n"


def test_nothing_is_added_to_the_pool_and_nothing_but_the_machine_to_the_cache(
    guest: Guest, box: Box, pool: Path
) -> None:
    before = sorted(pool.iterdir())
    kept = keep(guest, box)
    assert sorted(pool.iterdir()) == before
    assert list(provisioned.root().iterdir()) == [kept.folder]


def test_the_guest_is_sealed_before_it_is_shut_down(guest: Guest, box: Box, pool: Path) -> None:
    keep(guest, box)
    listed, sealed, off = guest.commands
    assert "dpkg-query" in listed
    for what in ("ssh_host_", ">/etc/machine-id", "dbus/machine-id", "random-seed", "/home/vagrant/.ssh", "apt/lists"):
        assert what in sealed
    assert "poweroff" in off


def test_a_connection_that_ends_with_the_guest_is_no_error(guest: Guest, box: Box, pool: Path) -> None:
    guest.fails["poweroff"] = TransientError("connection reset")
    keep(guest, box)


def test_a_guest_that_cannot_be_sealed_is_not_kept(guest: Guest, box: Box, pool: Path) -> None:
    guest.fails["machine-id"] = RemoteError("exit status 1")
    with pytest.raises(RemoteError):
        keep(guest, box)
    assert list(provisioned.root().iterdir()) == []


def test_the_disk_is_copied_only_once_the_machine_is_off(
    guest: Guest, box: Box, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt, "virsh", virsh_of(pool, ["running", "in shutdown", "shut off"]))
    monkeypatch.setattr(disk.time, "sleep", lambda _: None)
    keep(guest, box)


def test_a_machine_that_stays_on_is_not_kept(
    guest: Guest, box: Box, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt, "virsh", virsh_of(pool, ["running"]))
    monkeypatch.setattr(disk, "SHUTDOWN_LIMIT_S", 0.0)
    with pytest.raises(MachineError, match="did not shut down in 0 s; it is running"):
        keep(guest, box)
    assert list(provisioned.root().iterdir()) == []


def test_a_box_that_was_changed_at_equal_size_does_not_go_into_the_kept_disk(
    guest: Guest, box: Box, pool: Path
) -> None:
    box.image.write_bytes(box.image.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedBoxError, match=r"box\.img has changed"):
        keep(guest, box)
    assert list(provisioned.root().iterdir()) == []


@pytest.mark.parametrize("program", ["virsh", "rebase", "convert"])
def test_a_disk_that_cannot_be_copied_is_an_error_with_the_reason_and_leaves_nothing(
    guest: Guest, box: Box, pool: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    real, virsh = processes.run, libvirt.virsh

    def run(argv: Any, **limits: Any) -> ProcessResult:
        return full if program in argv else real(argv, **limits)

    full = ProcessResult((program,), 1, "error: No space left on device\n", 0.1, False)
    monkeypatch.setattr(disk.processes, "run", run)
    if program == "virsh":
        monkeypatch.setattr(libvirt, "virsh", lambda *args, **rest: full if "vol-download" in args else virsh(*args))
    with pytest.raises(HostError, match="No space left on device"):
        keep(guest, box)
    assert list(provisioned.root().iterdir()) == []


def test_too_little_space_is_an_error_that_says_how_much_is_needed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SPACE_MB", 1e12)
    with pytest.raises(HostError, match="not enough disk space to keep the provisioned machine") as caught:
        disk.check_space()
    assert "harness box prune" in str(caught.value)

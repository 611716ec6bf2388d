"""A box is not removed while a machine that was made from it exists."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from boxes_on_disk import forge_provisioned

from harness import boxes, machines
from harness.boxes import Box, cache, provisioned
from harness.errors import DamagedBoxError, MachineError
from harness.machines import VagrantMachine, box_install, libvirt, registry
from harness.machines.vagrant_cli import VagrantCli
from harness.progress import SilentWatcher
from harness.spec import MachineSpec


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    for name in ("HARNESS_CACHE", "HARNESS_STATE", "VAGRANT_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    folder = cache.root() / ("0123456789abcdef" * 4)
    folder.mkdir(parents=True)
    for part in cache.BUILT:
        (folder / part).write_bytes(part.encode())
    made = Box("debian-12", folder.name, "6.1.0-0-amd64", "console=ttyS0", "libvirt", folder)
    return cache.write_manifest(folder, made)


def test_a_box_is_not_removed_while_a_machine_uses_it(box: Box, tmp_path: Path) -> None:
    machine = tmp_path / "run" / "machine"
    machine.mkdir(parents=True)
    registry.record("harness-1-vm", "libvirt", machine)
    (machine / "settings.json").write_text(json.dumps({"box": box.vagrant_name}))
    with pytest.raises(MachineError, match="the box debian-12 is in use by harness-1-vm") as caught:
        boxes.remove(box, machines.uninstall)
    assert "harness down" in (caught.value.hint or "")
    assert boxes.verify("debian-12") == []


@pytest.mark.parametrize("settings", [None, "{", "[]", '{"box": 7}', '{"box": "harness/other"}'])
def test_machines_made_from_other_boxes_are_ignored(box: Box, settings: str | None, tmp_path: Path) -> None:
    machine = tmp_path / "run" / "machine"
    machine.mkdir(parents=True)
    registry.record("harness-1-vm", "libvirt", machine)
    if settings is not None:
        (machine / "settings.json").write_text(settings)
    assert box_install.users(box) == []


@pytest.mark.parametrize("packed", [True, False])
def test_the_guest_gets_an_initrd_that_it_need_not_unpack(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    sent = {}

    def ensure_volume(name: str, source: Path, **_: str) -> str:
        sent[name] = source.read_bytes()
        return f"/pool/{name}"

    monkeypatch.setattr(libvirt, "ensure_volume", ensure_volume)
    monkeypatch.setattr(VagrantCli, "box_add", lambda *_: None)
    box.initrd.write_bytes(gzip.compress(b"070701") if packed else b"070701")
    cache.write_manifest(box.folder, box)
    pool = box_install.install(box, VagrantCli(tmp_path / "settings.json", tmp_path / "dotfile", tmp_path / "log"))
    assert sent[Path(pool.initrd).name] == b"070701"
    assert Path(pool.initrd).name in box_install._volumes(box)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["harness_cache"]


def test_an_initrd_that_the_pool_has_whole_is_not_unpacked_again_and_one_that_was_cut_off_is(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    sizes = {"complete": 6, "cut off": 5}
    monkeypatch.setattr(libvirt, "volume_size", sizes.get)
    monkeypatch.setattr(libvirt, "volume_path", lambda name: f"/pool/{name}")
    monkeypatch.setattr(libvirt, "ensure_volume", lambda name, *_, **__: sent.append(name) or f"/pool/{name}")
    box.initrd.write_bytes(gzip.compress(b"070701"))
    paths = [box_install._install_initrd(name, box, tmp_path) for name in (*sizes, "missing")]
    assert paths == ["/pool/complete", "/pool/cut off", "/pool/missing"]
    assert sent == ["cut off", "missing"]


def test_a_killed_process_leaves_no_file_in_the_run_that_the_next_lock_does_not_remove(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Path] = []
    monkeypatch.setattr(libvirt, "volume_size", lambda _: None)
    monkeypatch.setattr(libvirt, "ensure_volume", lambda *_, **__: left.extend(tmp_path.glob(".*.tmp")) or "")
    box.initrd.write_bytes(gzip.compress(b"070701"))
    box_install._install_initrd("initrd", box, tmp_path)
    assert [path.is_dir() for path in left] == [False]
    assert list(tmp_path.glob(".*.tmp")) == []


def test_what_versions_before_0_3_installed_is_found_and_removed_too(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = box.vagrant_names[1]
    pool = {box_install._disk_volume(old), f"{old.replace('/', '-')}-initrd", "of-others"}
    monkeypatch.setattr(libvirt, "overlays", lambda bases: ["harness-1-vm.img"] if {*bases} & machines_on else [])
    monkeypatch.setattr(libvirt, "remove_volumes", pool.difference_update)
    monkeypatch.setattr(libvirt, "volume_size", lambda name: 1_000_000 if name in pool else None)
    machines_on = {box_install._disk_volume(old)}
    copy = box_install._vagrant_folder(old)
    copy.mkdir(parents=True)
    (copy / "box.img").write_bytes(bytes(1_000_000))
    assert box_install.users(box) == ["harness-1-vm"]
    assert box_install.copies_mb(box) == pytest.approx(3.0)
    machines_on.clear()
    box_install.uninstall(box)
    assert pool == {"of-others"}
    assert not copy.exists()


def test_a_box_that_was_removed_since_it_was_found_is_a_damaged_box(box: Box, tmp_path: Path) -> None:
    cache.remove(box)
    with pytest.raises(DamagedBoxError):
        box_install.install(box, VagrantCli(tmp_path / "settings.json", tmp_path / "dotfile", tmp_path / "log"))


@pytest.mark.parametrize("kept", [False, True])
def test_no_machine_starts_from_a_box_or_a_kept_machine_that_was_changed_at_equal_size(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/vagrant")
    monkeypatch.setattr(libvirt, "check", lambda: None)
    used = forge_provisioned(box) if kept else box
    used.image.write_bytes(b"x" * used.image.stat().st_size)
    assert used == (provisioned.find(used.digest) if kept else cache.find(used.digest))  # it is hashed once, below
    with pytest.raises(DamagedBoxError, match=r"box\.img has changed"):
        VagrantMachine(MachineSpec(box=box.name), used, tmp_path / "machine", "guest").up(SilentWatcher())
    assert not (tmp_path / "machine").exists()


@pytest.mark.parametrize("initrd", [b"\x1f\x8b", b"\x1f\x8b" + bytes(30), gzip.compress(b"070701")[:-4]], ids=len)
def test_an_initrd_that_cannot_be_unpacked_is_a_damaged_box(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, initrd: bytes
) -> None:
    monkeypatch.setattr(libvirt, "ensure_volume", lambda name, *_, **__: name)
    monkeypatch.setattr(VagrantCli, "box_add", lambda *_: None)
    box.initrd.write_bytes(initrd)
    cache.write_manifest(box.folder, box)
    with pytest.raises(DamagedBoxError, match="its initrd cannot be unpacked"):
        box_install.install(box, VagrantCli(tmp_path / "settings.json", tmp_path / "dotfile", tmp_path / "log"))

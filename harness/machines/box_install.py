"""Make a built box known to Vagrant and copy it into the libvirt pool, once each; and undo both."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from harness.boxes import Box
from harness.boxes.cache import lock, require, require_unchanged, wrong_sizes
from harness.errors import HostError, MachineError
from harness.files import open_regular
from harness.machines import libvirt
from harness.machines.registry import Entry, entries
from harness.machines.vagrant_cli import VagrantCli
from harness.temporary import held_file

VERSION = "1.0.0"
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class PoolPaths:
    """The volumes of a box's kernel and initrd in the libvirt pool, readable by QEMU's own user."""

    kernel: str
    initrd: str


def install(box: Box, vagrant: VagrantCli) -> PoolPaths:
    """Make `box` known to Vagrant and libvirt; quick when it already is. Raises HostError or MachineError.

    Before anything is copied, every file of the box is compared with its hash; DamagedBoxError if one differs, or if
    the box was removed since it was found. The copies that are there are compared with the box by size. Kernel and
    initrd are copied into the pool as well: QEMU runs as a user who cannot read a home folder.
    """
    with lock(box.digest):
        require(box, wrong_sizes(box.folder))
        if not _added(box) or not {disk_volume(box), *_boot_volumes(box.vagrant_name)} <= set(libvirt.volumes()):
            require_unchanged(box)
        if not _added(box):
            _add(box, vagrant)
        libvirt.ensure_volume(disk_volume(box), box.image, image_format="qcow2", capacity="1")
        kernel_name, initrd_name = _boot_volumes(box.vagrant_name)
        kernel = libvirt.ensure_volume(kernel_name, box.vmlinuz, image_format="raw", capacity="1")
        initrd = _install_initrd(initrd_name, box, vagrant.log.parent)
    return PoolPaths(kernel, initrd)


def _install_initrd(name: str, box: Box, folder: Path) -> str:
    """Copy the initrd into the pool, unpacked: at 125 instructions per microsecond, a guest takes 5 s to unpack it.

    Nothing is unpacked when the volume is complete. The file that a killed process leaves goes at the run's next lock.
    """
    packed = box.initrd.read_bytes()
    if not packed.startswith(GZIP):
        return libvirt.ensure_volume(name, box.initrd, image_format="raw", capacity="1")
    if libvirt.volume_size(name) == int.from_bytes(packed[-4:], "little"):  # RFC 1952: the size before it was packed
        return libvirt.volume_path(name)
    with held_file(folder / "initrd") as unpacked:
        try:
            unpacked.write_bytes(gzip.decompress(packed))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise box.damaged(f"its initrd cannot be unpacked: {error}") from None
        return libvirt.ensure_volume(name, unpacked, image_format="raw", capacity="1")


def uninstall(box: Box) -> None:
    """Remove `box` from Vagrant and from the libvirt pool. Raises MachineError if a machine uses it."""
    require_unused(box)
    for name in box.vagrant_names:
        shutil.rmtree(_vagrant_folder(name), ignore_errors=True)
    with suppress(HostError):  # virsh is not installed: there is no pool
        libvirt.remove_volumes(_volumes(box))


def require_unused(box: Box) -> None:
    """Raise MachineError if a machine was made from `box`: the disk of a machine is an overlay on the box."""
    require_none(users(box), box.name, box.vagrant_name)


def require_none(domains: Sequence[str], box: str, where: str) -> None:
    """Raise MachineError if these machines, which use `box`, are any."""
    if domains:
        raise MachineError(
            f"the box {box} is in use by {', '.join(domains)}",
            where=where,
            hint="end that run, or remove a machine that was left behind with `harness down`; then try again",
        )


def users(box: Box) -> list[str]:
    """Return the machines that were made from `box`: the registered ones, and those of others with a disk in the pool.

    Where libvirt does not answer, only the register counts.
    """
    registered = [entry.domain for entry in entries() if _box_name(entry) in box.vagrant_names]
    with suppress(HostError):
        bases = [_disk_volume(name) for name in box.vagrant_names]
        disks = [Path(volume).stem for volume in libvirt.overlays(bases)]
        return list(dict.fromkeys([*registered, *disks]))
    return registered


def copies_mb(box: Box) -> float:
    """Return the size of what Vagrant and libvirt keep of `box`, in MB; without libvirt, of what Vagrant keeps."""
    files = [path for name in box.vagrant_names for path in _vagrant_folder(name).rglob("*")]
    size = sum(path.stat().st_size for path in files if path.is_file())
    with suppress(HostError):
        size += sum(libvirt.volume_size(name) or 0 for name in _volumes(box))
    return size / 1e6


def _volumes(box: Box) -> list[str]:
    """Return every volume that may hold a copy of `box`, with those that versions before 0.3 left there."""
    names = [[_disk_volume(name), *_boot_volumes(name), f"{_stem(name)}-initrd"] for name in box.vagrant_names]
    return [volume for volumes in names for volume in volumes]


def users_of_folder(folder: Path) -> list[str]:
    """Return the registered machines that were made from the box in `folder`, whose description cannot be read.

    The beginning of its digest is in the name of the box.
    """
    return [entry.domain for entry in entries() if f"-{folder.name[:12]}" in _box_name(entry)]


def _box_name(entry: Entry) -> str:
    try:
        with open_regular(Path(entry.folder) / "settings.json") as source:
            return str(json.load(source)["box"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # such as: stopped before they were written
        return ""


def disk_volume(box: Box) -> str:
    """Return the name that vagrant-libvirt gives to the base volume of a box."""
    return _disk_volume(box.vagrant_name)


def _disk_volume(name: str) -> str:
    return f"{name.replace('/', '-VAGRANTSLASH-')}_vagrant_box_image_{VERSION}_box.img"


def _boot_volumes(name: str) -> tuple[str, str]:
    """Return the names of the volumes of the kernel and of the unpacked initrd."""
    return f"{_stem(name)}-vmlinuz", f"{_stem(name)}-initrd-unpacked"


def catalog(box: Box) -> str:
    """Return the JSON catalog of a box: name, version and file; without it Vagrant gives every box version 0."""
    provider = {"name": box.provider, "url": f"file://{quote(str(box.path))}"}
    return json.dumps({"name": box.vagrant_name, "versions": [{"version": VERSION, "providers": [provider]}]})


def _stem(name: str) -> str:
    return name.replace("/", "-")


def _vagrant_folder(name: str) -> Path:
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    return home / "boxes" / name.replace("/", "-VAGRANTSLASH-")


def _added(box: Box) -> bool:
    copy = _vagrant_folder(box.vagrant_name) / VERSION / box.provider / "box.img"
    return copy.is_file() and copy.stat().st_size == box.image.stat().st_size


def _add(box: Box, vagrant: VagrantCli) -> None:
    shutil.rmtree(_vagrant_folder(box.vagrant_name), ignore_errors=True)  # remove what a killed `vagrant box add` left
    description = vagrant.log.with_name("box.json")
    description.write_text(catalog(box), encoding="utf-8")
    vagrant.box_add(box.vagrant_name, description, box.provider)

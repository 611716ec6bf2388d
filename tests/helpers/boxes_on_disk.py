"""Small boxes and provisioned machines, in the layout that a build leaves in the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness import boxes
from harness.boxes import Box, cache, description, kernel, provisioned
from harness.boxes.provisioned import ProvisionedBox, Provisioning
from harness.machines import libvirt
from harness.spec.kernels import KernelForm

ROLES = ("perf", "nginx", "apache2_utils")


def use_empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the box commands a cache, a register of machines, a Vagrant and a pool with nothing in them."""
    for name in ("HARNESS_CACHE", "HARNESS_STATE", "VAGRANT_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    (tmp_path / "tmpdir").mkdir()
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(libvirt, "overlays", lambda bases: [])
    monkeypatch.setattr(libvirt, "remove_volumes", lambda names: None)
    monkeypatch.setattr(libvirt, "volume_size", lambda name: None)


def forge_box(root: Path, name: str = "debian-12", digest: str = "") -> Box:
    """Put a small box into a cache whose boxes are in `root`, and return it; by default it is the recipe's box."""
    digest = digest or cache.digest(boxes.recipe(name))
    folder = root / digest
    folder.mkdir(parents=True, exist_ok=True)
    for part in cache.BUILT:
        (folder / part).write_bytes(f"{name} {part}".encode())
    (folder / "metadata.json").write_text('{"provider": "libvirt", "format": "qcow2", "virtual_size": 6}')
    box = Box(name, digest, "6.1.0-56-cloud-amd64", "root=/dev/vda", "libvirt", folder)
    return cache.write_manifest(folder, box)


def forge_with_kernel(root: Path, form: KernelForm, name: str = "debian-12") -> Box:
    """Put a small box with another kernel into a cache, as it would be built from the recipe of today."""
    chosen = kernel.read(form)
    made_from = cache.inputs(boxes.recipe(name), None, chosen.fingerprint())
    forged = forge_box(root, name, description.digest_of(made_from))
    box = replace(forged, kernel="6.12.1-other", kernel_source=chosen.source())
    return cache.write_manifest(forged.folder, box, (), made_from)


def provisioning(box: Box, made: str = "2026-11-22T10:15:03.250Z") -> Provisioning:
    """Return what Ansible would have reported of a machine made from `box`."""
    return Provisioning(box.digest, ROLES, {}, {"nginx": "1.22.1-9"}, {}, 30, 9, made)


def forge_provisioned(box: Box, disk: bytes = b"disk") -> ProvisionedBox:
    """Put a small provisioned machine, made from `box`, into the cache."""
    with provisioned.work_folder() as fresh:
        (fresh / "box.img").write_bytes(disk)
        return provisioned.publish(
            fresh, box, provisioned.key(box.digest, ROLES), provisioning(box), "nginx 1.22.1-9\n"
        )

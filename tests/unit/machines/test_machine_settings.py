"""The kernel command line of a box built here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from boxes_on_disk import forge_box

from harness.boxes import rootfs
from harness.machines import key_pair, machine_settings
from harness.machines.box_install import PoolPaths

LIMIT = 2048  # COMMAND_LINE_SIZE of x86: the kernel cuts off what is longer


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(key_pair, "make", lambda folder: folder)
    monkeypatch.setattr(key_pair, "argument", lambda _: "ssh-ed25519:" + "A" * 68)
    box = forge_box(tmp_path / "boxes")
    return str(machine_settings.direct_boot(box, PoolPaths("/kernel", "/initrd"), tmp_path)["command_line"])


def test_the_command_line_is_not_cut_off(command_line: str) -> None:
    assert len(rootfs.COMMAND_LINE) + len(command_line) < LIMIT


def test_what_a_trial_needs_is_not_left_out(command_line: str) -> None:
    masked = re.findall(r"systemd\.mask=(\S+)", command_line)
    (modules,) = re.findall(r"modprobe\.blacklist=(\S+)", command_line)
    needed = {"sys-kernel-debug.mount", "sys-kernel-tracing.mount", "ssh.service", "systemd-networkd.service"}
    assert masked
    assert not needed & set(masked)
    assert not {"virtio_blk", "virtio_net", "virtio_pci", "virtio_rng", "ext4"} & set(modules.split(","))

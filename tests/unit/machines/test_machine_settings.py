"""The kernel command line of a box built here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from boxes_on_disk import forge_box

from harness.boxes import rootfs
from harness.errors import MachineError
from harness.machines import key_pair, machine_settings
from harness.machines.box_install import PoolPaths
from harness.spec import MachineSpec

LIMIT = 2048  # COMMAND_LINE_SIZE of x86: the kernel cuts off what is longer


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(key_pair, "make", lambda folder: folder)
    monkeypatch.setattr(key_pair, "argument", lambda _: "ssh-ed25519:" + "A" * 68)
    box, spec = forge_box(tmp_path / "boxes"), MachineSpec(box="debian-12", cmdline=("nohz=off", "quiet"))
    return str(machine_settings.direct_boot(spec, box, PoolPaths("/kernel", "/initrd"), tmp_path)["command_line"])


def test_the_command_line_is_not_cut_off(command_line: str) -> None:
    assert len(rootfs.COMMAND_LINE) + len(command_line) < LIMIT


def test_what_a_trial_needs_is_not_left_out(command_line: str) -> None:
    masked = re.findall(r"systemd\.mask=(\S+)", command_line)
    (modules,) = re.findall(r"modprobe\.blacklist=(\S+)", command_line)
    needed = {"sys-kernel-debug.mount", "sys-kernel-tracing.mount", "ssh.service", "systemd-networkd.service"}
    assert masked
    assert not needed & set(masked)
    assert not {"virtio_blk", "virtio_net", "virtio_pci", "virtio_rng", "ext4"} & set(modules.split(","))


def test_the_words_of_the_experiment_come_after_those_of_the_box(command_line: str) -> None:
    assert re.search(r" no_timer_check nohz=off quiet harness\.key=", command_line)


def test_a_command_line_that_the_kernel_would_cut_off_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_settings, "MOST_COMMAND_LINE", 300)
    monkeypatch.setattr(key_pair, "make", lambda folder: folder)
    monkeypatch.setattr(key_pair, "argument", lambda _: "key")
    with pytest.raises(MachineError, match=r"command line would be \d+ letters long\n  expected: at most 300"):
        machine_settings.direct_boot(
            MachineSpec(box="debian-12"), forge_box(tmp_path), PoolPaths("/kernel", "/initrd"), tmp_path
        )


@pytest.mark.parametrize(("hypervisor", "without"), [("QEMU 7.2.22", ["cx16"]), ("QEMU 10.0.2", []), ("unknown", [])])
def test_an_emulated_cpu_lacks_the_instruction_after_which_old_qemu_has_wrong_flags(
    hypervisor: str, without: list[str]
) -> None:
    assert machine_settings.missing_features(hypervisor) == without

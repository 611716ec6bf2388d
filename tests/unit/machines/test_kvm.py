"""A real boot shows whether KVM works, here with a stand-in for QEMU; the result is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.boxes import Box
from harness.errors import MachineError
from harness.machines import kvm
from harness.machines.pace import GuestPace
from harness.progress import SilentWatcher


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box("debian-12", "d" * 64, "6.1.0-56-cloud-amd64", "root=/dev/vda", "libvirt", tmp_path / "box, of mine")


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for QEMU on a host where /dev/kvm opens; it counts its calls and runs the script from `does`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / kvm.QEMU
    device = tmp_path / "kvm"
    device.write_bytes(b"")
    monkeypatch.setattr(kvm, "DEVICE", device)
    monkeypatch.setattr(kvm, "QUIET_S", 200.0)
    monkeypatch.setattr(kvm, "LIMIT_S", 200.0)
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    program.touch()
    program.chmod(0o755)
    return program


def does(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\necho call >>'{program.parent}/calls'\n{script}\n")


def calls(program: Path) -> int:
    return len((program.parent / "calls").read_text().splitlines())


def test_a_guest_that_boots_means_kvm_and_is_stopped_at_once(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "echo '[    0.0] Linux version'; echo harness-ready; sleep 300")
    result = kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert result.works
    assert result.seconds < kvm.QUIET_S


def test_a_guest_that_a_busy_host_keeps_waiting_is_not_taken_for_one_that_hangs(
    box: Box, qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StandsStill(GuestPace):
        def __call__(self) -> float:
            return 0.0

    monkeypatch.setattr(kvm, "QUIET_S", 0.1)
    monkeypatch.setattr(kvm, "GuestPace", StandsStill)
    does(qemu, "sleep 1; echo harness-ready; sleep 300")
    assert kvm.probe(box, tmp_path / "kvm.log", SilentWatcher()).works


@pytest.mark.slow
def test_a_guest_that_hangs_without_output_means_no_kvm(
    box: Box, qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "QUIET_S", 1.0)
    does(qemu, "sleep 300")
    result = kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert not result.works
    assert "printed nothing" in result.reason


def test_a_qemu_that_fails_means_no_kvm_and_its_output_is_the_reason(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "echo 'failed to initialize kvm: Invalid argument'; exit 1")
    result = kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert not result.works
    assert result.reason.endswith("failed to initialize kvm: Invalid argument")


def test_the_result_is_kept_for_this_box_and_another_box_is_probed(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "exit 1")
    for _ in range(2):
        assert kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())[0] == "tcg"
    assert calls(qemu) == 1
    other = Box("debian-12", "e" * 64, box.kernel, box.cmdline, "libvirt", box.folder)
    kvm.choose("auto", other, tmp_path / "kvm.log", SilentWatcher())
    assert calls(qemu) == 2


@pytest.mark.parametrize("changed", [{"when": 0.0}, {"mood": "good"}])
def test_an_old_no_and_a_damaged_result_are_probed_again(
    box: Box, qemu: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    does(qemu, "exit 1")
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    results = tmp_path / "state" / "kvm.json"
    kept = {name: {**result, **changed} for name, result in json.loads(results.read_text()).items()}
    results.write_text(json.dumps(kept))
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    assert calls(qemu) == 2


def test_a_damaged_file_of_results_is_probed_again(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "exit 1")
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    (tmp_path / "state" / "kvm.json").write_text("{")
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    assert calls(qemu) == 2


def test_kvm_that_is_wanted_and_does_not_work_is_an_error_without_fallback(
    box: Box, qemu: Path, tmp_path: Path
) -> None:
    does(qemu, "exit 1")
    with pytest.raises(MachineError, match="KVM was asked for and does not work"):
        kvm.choose("kvm", box, tmp_path / "kvm.log", SilentWatcher())


def test_wanting_tcg_runs_no_probe(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "exit 1")
    assert kvm.choose("tcg", box, tmp_path / "kvm.log", SilentWatcher()) == ("tcg", "set by machine.accelerator")
    assert not (qemu.parent / "calls").exists()


def test_without_a_device_there_is_no_probe(
    box: Box, qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    does(qemu, "exit 1")
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "no-kvm")
    accelerator, why = kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    assert accelerator == "tcg"
    assert "there is no" in why
    assert not (qemu.parent / "calls").exists()


def test_a_ready_made_box_uses_the_latest_result_of_this_host(box: Box, qemu: Path, tmp_path: Path) -> None:
    assert kvm.choose("auto", None, tmp_path / "kvm.log", SilentWatcher())[0] == "tcg"
    does(qemu, "echo harness-ready; sleep 300")
    kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert kvm.choose("auto", None, tmp_path / "kvm.log", SilentWatcher())[0] == "kvm"


def test_the_box_is_booted_from_a_temporary_snapshot_and_a_comma_in_its_path_is_escaped(box: Box) -> None:
    drive = next(part for part in kvm.command(box) if part.startswith("file="))
    assert "snapshot=on" in drive
    assert "box,, of mine" in drive

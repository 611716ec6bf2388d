"""Whether KVM works is found out by a real boot, here of a stand-in for QEMU, and remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.boxes import Box
from harness.errors import MachineError
from harness.machines import kvm
from harness.progress import SilentWatcher


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box("debian-12", "d" * 64, "6.1.0-56-cloud-amd64", "root=/dev/vda", "libvirt", tmp_path / "box, of mine")


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for QEMU on a host where /dev/kvm opens; it counts its calls and does what it is given."""
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


def test_a_guest_that_comes_up_means_kvm_and_the_guest_is_ended_at_once(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "echo '[    0.0] Linux version'; echo harness-ready; sleep 300")
    answer = kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert answer.works
    assert answer.seconds < kvm.QUIET_S


def test_a_guest_that_hangs_without_a_word_means_no_kvm(
    box: Box, qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "QUIET_S", 1.0)
    does(qemu, "sleep 300")
    answer = kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert not answer.works
    assert "printed nothing" in answer.reason


def test_a_qemu_that_fails_means_no_kvm_with_what_it_said(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "echo 'failed to initialize kvm: Invalid argument'; exit 1")
    answer = kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert not answer.works
    assert answer.reason.endswith("failed to initialize kvm: Invalid argument")


def test_the_answer_is_remembered_for_this_box_and_asked_anew_for_another(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "exit 1")
    for _ in range(2):
        assert kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())[0] == "tcg"
    assert calls(qemu) == 1
    other = Box("debian-12", "e" * 64, box.kernel, box.cmdline, "libvirt", box.folder)
    kvm.choose("auto", other, tmp_path / "kvm.log", SilentWatcher())
    assert calls(qemu) == 2


@pytest.mark.parametrize("changed", [{"when": 0.0}, {"mood": "good"}])
def test_an_old_no_and_a_damaged_answer_are_asked_anew(
    box: Box, qemu: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    does(qemu, "exit 1")
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    memory = tmp_path / "state" / "kvm.json"
    kept = {name: {**answer, **changed} for name, answer in json.loads(memory.read_text()).items()}
    memory.write_text(json.dumps(kept))
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    assert calls(qemu) == 2


def test_a_damaged_memory_is_asked_anew(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "exit 1")
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    (tmp_path / "state" / "kvm.json").write_text("{")
    kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    assert calls(qemu) == 2


def test_asking_for_kvm_where_it_does_not_work_is_an_error_and_no_fallback(
    box: Box, qemu: Path, tmp_path: Path
) -> None:
    does(qemu, "exit 1")
    with pytest.raises(MachineError, match="KVM was asked for and does not work"):
        kvm.choose("kvm", box, tmp_path / "kvm.log", SilentWatcher())


def test_asking_for_tcg_tries_nothing(box: Box, qemu: Path, tmp_path: Path) -> None:
    does(qemu, "exit 1")
    assert kvm.choose("tcg", box, tmp_path / "kvm.log", SilentWatcher()) == ("tcg", "asked for")
    assert not (qemu.parent / "calls").exists()


def test_without_a_device_there_is_nothing_to_try(
    box: Box, qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    does(qemu, "exit 1")
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "no-kvm")
    accelerator, why = kvm.choose("auto", box, tmp_path / "kvm.log", SilentWatcher())
    assert accelerator == "tcg"
    assert "there is no" in why
    assert not (qemu.parent / "calls").exists()


def test_a_ready_made_box_goes_by_the_latest_answer_of_this_host(box: Box, qemu: Path, tmp_path: Path) -> None:
    assert kvm.choose("auto", None, tmp_path / "kvm.log", SilentWatcher())[0] == "tcg"
    does(qemu, "echo harness-ready; sleep 300")
    kvm.probe(box, tmp_path / "kvm.log", SilentWatcher())
    assert kvm.choose("auto", None, tmp_path / "kvm.log", SilentWatcher())[0] == "kvm"


def test_the_box_is_booted_from_a_throw_away_snapshot_and_a_comma_in_its_path_is_no_option(box: Box) -> None:
    drive = next(part for part in kvm.command(box) if part.startswith("file="))
    assert "snapshot=on" in drive
    assert "box,, of mine" in drive

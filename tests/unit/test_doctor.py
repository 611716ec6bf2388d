"""`harness doctor` reports what it finds and never fails itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from boxes_on_disk import forge_box

from harness import boxes, doctor
from harness.boxes import cache
from harness.machines import kvm
from harness.trace.native import library


@pytest.fixture(autouse=True)
def bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host without any program and with empty caches."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def install(host: Path, name: str, script: str) -> None:
    (host / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (host / "bin" / name).chmod(0o755)


def test_on_a_bare_host_every_program_is_missing_and_has_a_hint() -> None:
    checks = doctor.programs()
    assert {check.name for check in checks} == set(doctor.PROGRAMS)
    assert not any(check.ok for check in checks)
    assert all(check.hint for check in checks)


def test_on_a_bare_host_the_doctor_still_examines_everything() -> None:
    names = {check.name for check in doctor.check_host()}
    assert {"vagrant", "torch", "libvirt", "kvm"} <= names
    assert {f"box {name} can be built" for name in boxes.names()} <= names


def test_a_damaged_box_in_the_cache_is_named(bare_host: Path) -> None:
    box = forge_box(cache.root())
    (check,) = doctor.built_boxes()
    assert (check.ok, check.name) == (True, "box debian-12 is built")
    box.vmlinuz.write_bytes(b"")
    (check,) = doctor.built_boxes()
    assert not check.ok
    assert f"damaged: {box.vmlinuz} has 0 bytes" in str(check.hint)
    (box.folder / "box.json").write_text("{")
    (check,) = doctor.built_boxes()
    assert not check.ok
    assert "box.json" in check.detail
    assert check.hint == f"harness box rm {box.digest[:12]}"


def test_the_clock_of_a_machine_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = doctor.guests_clock()
    assert check.ok
    assert check.detail.startswith("counted, 125 instructions/us: the default of an emulated machine")
    monkeypatch.setattr(kvm, "remembered", lambda _: kvm.ProbeResult(True, "a real boot came up"))
    (check,) = doctor.guests_clock()
    assert check.detail == "host: instructions cannot be counted under kvm"


def test_the_compiled_trace_engine_is_found_and_its_loss_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = doctor.trace_engine()
    assert (check.ok, check.detail) == (True, str(library.LIBRARY))
    monkeypatch.setattr(library, "LIBRARY", Path("/nowhere/libtrace.so"))
    library.load_library.cache_clear()
    (check,) = doctor.trace_engine()
    library.load_library.cache_clear()
    assert not check.ok
    assert "/nowhere/libtrace.so" in check.detail
    assert "make build" in check.hint


def test_vagrant_without_its_libvirt_plugin_is_not_enough(bare_host: Path) -> None:
    install(bare_host, "vagrant", "echo 'No plugins installed.'")
    checks = {check.name: check for check in doctor.programs(["vagrant"])}
    assert checks["vagrant"].ok
    assert not checks["vagrant-libvirt"].ok


def test_a_vagrant_that_a_busy_host_keeps_waiting_does_not_count_as_one_without_its_plugin(
    bare_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LIMIT_S", 0.1)
    install(bare_host, "vagrant", "while :; do :; done")
    checks = {check.name: check for check in doctor.programs(["vagrant"])}
    assert not checks["vagrant-libvirt"].ok
    assert "unknown: `vagrant plugin list` was not done after" in checks["vagrant-libvirt"].detail
    assert "less busy" in checks["vagrant-libvirt"].hint


def test_the_plugin_is_found_with_its_version(bare_host: Path) -> None:
    install(bare_host, "vagrant", "echo 'vagrant-libvirt (0.11.2, system)'")
    checks = {check.name: check for check in doctor.programs(["vagrant"])}
    assert (checks["vagrant-libvirt"].ok, checks["vagrant-libvirt"].detail) == (True, "0.11.2")


def test_network_and_pool_are_checked_separately(bare_host: Path) -> None:
    install(
        bare_host, "virsh", 'case "$*" in *net-info*) echo "Active: no";; *pool-info*) echo "State: running";; esac'
    )
    checks = {check.name: check.ok for check in doctor.libvirt_parts()}
    assert checks == {"libvirtd": True, "libvirt network": False, "libvirt pool": True}


def test_a_libvirtd_that_does_not_answer_is_one_check_with_the_output_of_virsh(bare_host: Path) -> None:
    install(bare_host, "virsh", "echo 'error: Failed to connect socket' >&2; exit 1")
    (check,) = doctor.libvirt_parts()
    assert (check.ok, check.detail) == (False, "error: Failed to connect socket")


def test_a_missing_python_package_is_not_ok_and_an_installed_one_has_its_version() -> None:
    missing, installed = doctor.python_packages(["no-such-package", "pytest"])
    assert (missing.ok, missing.detail) == (False, "not installed")
    assert installed.ok
    assert installed.detail == pytest.__version__


def test_a_box_that_cannot_be_built_is_advice_because_others_can() -> None:
    for check in doctor.keyrings():
        assert check.advice
        assert check.ok or "are missing" in check.detail


def test_kvm_that_was_not_tried_or_is_missing_is_advice_and_not_a_failure() -> None:
    (check,) = doctor.kvm_result()
    assert check.advice
    assert not check.ok
    assert check.hint


def test_a_full_disk_is_reported_with_the_space_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_MB", 10**12)
    assert [check.ok for check in doctor.disk_space()] == [False, False]
    assert str(10**12) in doctor.disk_space()[0].hint


def test_a_group_id_without_a_name_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgroups", lambda: [2**31 - 7])
    assert [check.ok for check in doctor.groups()] == [False, False]

"""Machines are registered before they start, so that a killed process hides none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import waiting

from harness import machines
from harness.errors import MachineError
from harness.machines import registry


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def record_in_another_process(folder: Path, then: str) -> subprocess.Popen[str]:
    code = f"""
import sys, time
from pathlib import Path
from harness.machines import registry
registry.record("harness-0-vm", "libvirt", Path(sys.argv[1]))
print("recorded", flush=True)
{then}
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "recorded\n"
    return child


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]


def test_a_machine_of_a_live_process_is_not_left_behind(tmp_path: Path) -> None:
    registry.record("harness-1-vm", "libvirt", tmp_path / "run" / "machine")
    assert [entry.domain for entry in registry.entries()] == ["harness-1-vm"]
    assert machines.left_behind() == []


def test_a_machine_of_a_killed_process_is_left_behind(tmp_path: Path) -> None:
    child = record_in_another_process(tmp_path / "run" / "machine", "time.sleep(300)")
    assert machines.left_behind() == []
    child.kill()
    child.communicate()
    (left,) = machines.left_behind()
    assert (left.domain, left.owner_pid) == ("harness-0-vm", child.pid)


def test_another_process_with_the_same_id_is_not_the_owner(tmp_path: Path) -> None:
    entry = registry.record("harness-1-vm", "libvirt", tmp_path)
    text = entry.path.read_text().replace(entry.owner_started, "another boot:1")
    entry.path.write_text(text)
    assert [left.domain for left in machines.left_behind()] == ["harness-1-vm"]


def test_a_machine_can_be_forgotten_twice(tmp_path: Path) -> None:
    registry.record("harness-1-vm", "libvirt", tmp_path)
    registry.forget("harness-1-vm")
    registry.forget("harness-1-vm")
    assert registry.entries() == []


def test_machines_are_found_by_their_folder(tmp_path: Path) -> None:
    registry.record("harness-1-vm", "libvirt", tmp_path / "a")
    registry.record("harness-2-vm", "libvirt", tmp_path / "b")
    assert [entry.domain for entry in registry.in_folder(tmp_path / "b")] == ["harness-2-vm"]


def test_a_damaged_entry_is_refused_with_its_path(tmp_path: Path, state: Path) -> None:
    path = state / "machines" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text("[]")
    with pytest.raises(MachineError) as caught:
        registry.entries()
    assert caught.value.where == str(path)


def test_only_the_processes_of_the_killed_campaign_are_ended(tmp_path: Path) -> None:
    mine = subprocess.Popen(["sleep", "300"], env={**os.environ, "HARNESS_MACHINE_JSON": str(tmp_path / "a.json")})
    other = subprocess.Popen(["sleep", "300"], env={**os.environ, "HARNESS_MACHINE_JSON": str(tmp_path / "b.json")})
    try:
        # before they run `sleep`, they do not have their environment yet
        waiting.until(lambda: all(command_of(child.pid) == b"sleep" for child in (mine, other)))
        registry.end_orphans(tmp_path / "a.json")
        assert mine.wait(timeout=waiting.LIMIT_S) != 0
        assert other.poll() is None
    finally:
        mine.kill()
        other.kill()
        mine.wait()
        other.wait()

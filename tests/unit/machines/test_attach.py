"""A machine that a killed process left: which of them can be reached once more."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.machines import attach, registry

DOMAIN = "harness-12345678-guest"
VIRSH = """#!/bin/sh
case "$*" in
  *domstate*) echo STATE;;
  *domifaddr*) echo " vnet0 52:54:00:00:00:01 ipv4 192.0.2.7/24";;
  *query-cpus-fast*) echo '{"return": [{"thread-id": THREAD}]}';;
esac
"""


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.Entry:
    """Return the entry of a machine whose process has ended, with its folder."""
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    folder = tmp_path / "machine"
    folder.mkdir()
    settings = {"name": "guest", "console": str(tmp_path / "console"), "ready_made": False}
    (folder / "settings.json").write_text(json.dumps(settings))
    return registry.Entry(DOMAIN, "libvirt", str(folder), 1, "a boot ago", 0.0)


def libvirt_says(state: str, folder: Path) -> None:
    text = VIRSH.replace("STATE", state).replace("THREAD", str(os.getpid()))
    (folder / "virsh").write_text(text)
    (folder / "virsh").chmod(0o755)


def test_a_machine_that_runs_is_reached_with_its_key_and_is_this_process_s_own(
    entry: registry.Entry, tmp_path: Path
) -> None:
    libvirt_says("running", tmp_path)
    host, monitor = attach(entry, {"cpu_speed": 125})
    assert (host.address, host.user, host.key_path) == ("192.0.2.7", "vagrant", Path(entry.folder) / "key")
    assert monitor.process_ids() == (os.getpid(),)
    (registered,) = registry.entries()
    assert (registered.domain, registered.folder, registered.owned()) == (DOMAIN, entry.folder, True)


@pytest.mark.parametrize("state", ["paused", "shut off"])
def test_a_machine_that_does_not_run_is_named_with_what_became_of_it(
    entry: registry.Entry, tmp_path: Path, state: str
) -> None:
    libvirt_says(state, tmp_path)
    with pytest.raises(MachineError, match=f"does not run, it is {state}"):
        attach(entry, {})
    assert registry.entries() == []


def test_a_machine_without_readable_settings_is_named_with_the_file(entry: registry.Entry, tmp_path: Path) -> None:
    libvirt_says("running", tmp_path)
    (Path(entry.folder) / "settings.json").write_text("{")
    with pytest.raises(MachineError, match="settings of the machine cannot be read"):
        attach(entry, {})

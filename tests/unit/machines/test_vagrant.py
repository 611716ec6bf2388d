"""A machine that is interrupted or fails while it starts is removed; the contract and e2e tests test the rest."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Interrupted, MachineError, RemoteError
from harness.guest.remote import Host
from harness.interrupt import stop_signals_raise
from harness.machines import vagrant
from harness.machines.vagrant import VagrantMachine
from harness.progress import SilentWatcher
from harness.spec import MachineSpec


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VagrantMachine:
    monkeypatch.setattr(VagrantMachine, "_prepare", lambda _: None)
    return VagrantMachine(MachineSpec(box="a/b"), "a/b", tmp_path, "guest")


def test_an_interrupt_during_the_removal_of_a_failed_machine_waits_for_the_removal(
    machine: VagrantMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Host:
        calls.append("start")
        raise MachineError("it did not come up")

    def down(_: VagrantMachine) -> None:
        if "start" in calls:
            os.kill(os.getpid(), signal.SIGTERM)
            calls.append("down")

    calls: list[str] = []
    monkeypatch.setattr(VagrantMachine, "_start", fail)
    monkeypatch.setattr(VagrantMachine, "down", down)
    with stop_signals_raise(), pytest.raises(Interrupted):
        machine.up(SilentWatcher())
    assert calls == ["start", "down"]


def test_a_machine_that_cannot_be_reached_is_a_machine_error(
    machine: VagrantMachine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RemoteError("connection refused")

    host = Host("192.0.2.1", 22, "vagrant", tmp_path / "key", tmp_path / "known_hosts", "guest")
    monkeypatch.setattr(VagrantMachine, "_start", lambda *_: host)
    monkeypatch.setattr(VagrantMachine, "down", lambda _: None)
    monkeypatch.setattr(Host, "run", refuse)
    with pytest.raises(MachineError, match="connection refused"):
        machine.up(SilentWatcher())


def test_an_incomplete_settings_file_belongs_to_no_machine(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"prefix": "harness-1-", "name": "guest"}')
    assert vagrant._belongs_to(tmp_path, "harness-1-guest")
    settings.write_text('{"prefix": "harn')
    assert not vagrant._belongs_to(tmp_path, "harness-1-guest")

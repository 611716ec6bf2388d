"""Vagrant's commands, run by a stand-in for the program: their arguments, environment, limits and errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.machines import vagrant_cli
from harness.machines.vagrant_cli import VagrantCli


@pytest.fixture
def fake_vagrant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `vagrant` that logs its arguments and environment and runs the script in the file `does`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "vagrant"
    script.write_text(f'#!/bin/sh\nenv >"{tmp_path}/env"\necho "$@" >>"{tmp_path}/calls"\n. "{tmp_path}/does"\n')
    script.chmod(0o755)
    (tmp_path / "does").write_text("true\n")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path


def vagrant_in(folder: Path) -> VagrantCli:
    return VagrantCli(folder / "settings.json", folder / "dotfile", folder / "vagrant.log")


def test_a_failing_vagrant_raises_with_its_reason_and_its_log(fake_vagrant: Path) -> None:
    (fake_vagrant / "does").write_text("echo '==> vm: Starting domain.'; echo 'The box is damaged.'; exit 1\n")
    with pytest.raises(MachineError) as caught:
        vagrant_in(fake_vagrant).up("libvirt", limit_s=60)
    assert caught.value.what == "`vagrant up` ended with 1: The box is damaged."
    assert caught.value.log == str(fake_vagrant / "vagrant.log")
    assert "Starting domain" in (fake_vagrant / "vagrant.log").read_text()


@pytest.mark.slow
def test_a_vagrant_that_hangs_is_stopped_at_its_limit(fake_vagrant: Path) -> None:
    (fake_vagrant / "does").write_text("sleep 300\n")
    with pytest.raises(MachineError, match="was not done after 1 s"):
        vagrant_in(fake_vagrant).up("libvirt", limit_s=1.0)


def test_vagrant_gets_the_settings_and_the_folder_of_this_campaign_only(
    fake_vagrant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGRANT_DOTFILE_PATH", "/elsewhere")
    monkeypatch.setenv("VAGRANT_VAGRANTFILE", "Other")
    vagrant_in(fake_vagrant).up("libvirt", limit_s=60)
    variables = dict(line.split("=", 1) for line in (fake_vagrant / "env").read_text().splitlines() if "=" in line)
    assert variables["VAGRANT_DOTFILE_PATH"] == str(fake_vagrant / "dotfile")
    assert variables["HARNESS_MACHINE_JSON"] == str(fake_vagrant / "settings.json")
    assert "VAGRANT_VAGRANTFILE" not in variables


def test_the_users_vagrant_home_with_its_plugins_is_kept(tmp_path: Path) -> None:
    variables = vagrant_cli.environment(tmp_path / "s", tmp_path / "d", {"VAGRANT_HOME": "/home/me/.vagrant.d"})
    assert variables["VAGRANT_HOME"] == "/home/me/.vagrant.d"


def test_the_reason_is_the_output_without_progress_lines() -> None:
    output = "\x1b[0;31m==> vm: Creating domain\x1b[0m\n    vm: SSH address: 1.2.3.4\nName in use.\nChoose another.\n"
    assert vagrant_cli.reason(output) == "Name in use. Choose another."


def test_every_command_has_the_arguments_that_vagrant_documents(fake_vagrant: Path) -> None:
    vagrant = vagrant_in(fake_vagrant)
    vagrant.up("libvirt", limit_s=60)
    vagrant.box_add("harness/debian-12", fake_vagrant / "box.json", "libvirt")
    vagrant.destroy()
    assert (fake_vagrant / "calls").read_text().splitlines() == [
        "up --provider=libvirt",
        f"box add harness/debian-12 {fake_vagrant}/box.json --force --provider libvirt",
        "destroy --force",
    ]


def test_ssh_options_are_read_without_quotes_and_without_warnings(fake_vagrant: Path) -> None:
    config = '  User is old.\nHost guest\n  HostName 192.0.2.1\n  User vagrant\n  Port 22\n  IdentityFile "/a b/key"\n'
    (fake_vagrant / "does").write_text(f"cat <<'END'\n{config}END\n")
    options = vagrant_in(fake_vagrant).ssh_config()
    assert options == {"HostName": "192.0.2.1", "User": "vagrant", "Port": "22", "IdentityFile": "/a b/key"}

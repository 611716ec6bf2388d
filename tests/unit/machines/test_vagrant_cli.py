"""Programs with a deadline, and python-vagrant on top of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import waiting

from harness import processes
from harness.errors import HostError, MachineError
from harness.machines import vagrant_cli
from harness.machines.vagrant_cli import VagrantCli


@pytest.fixture
def fake_vagrant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called vagrant that writes down how it was called and does what the file `does` says."""
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


def test_a_program_that_ends_in_time_gives_its_exit_code_and_all_it_said(tmp_path: Path) -> None:
    lines: list[str] = []
    argv = ["sh", "-c", "echo one; echo two >&2; exit 7"]
    ended = processes.run(argv, timeout_s=60, log=tmp_path / "log", on_line=lines.append)
    assert (ended.exit_code, ended.timed_out, ended.ok) == (7, False, False)
    assert sorted(lines) == ["one", "two"]
    assert (tmp_path / "log").read_text() == ended.output


def test_a_program_past_its_limit_is_ended_with_all_its_children(tmp_path: Path) -> None:
    argv = ["sh", "-c", f"sleep 300 & echo $! >'{tmp_path}/child'; wait"]
    for limit_s in waiting.GROWING_S:
        assert processes.run(argv, timeout_s=limit_s).timed_out
        if child := waiting.number_in(tmp_path / "child"):
            break
    assert child
    assert waiting.ends(child)


def test_a_program_that_falls_silent_is_ended_before_its_limit() -> None:
    for quiet_s in waiting.GROWING_S:
        ended = processes.run(["sh", "-c", "echo hello; sleep 300"], timeout_s=200, quiet_s=quiet_s)
        assert ended.timed_out
        assert ended.seconds < 200
        if ended.output:
            break
    assert ended.output == "hello\n"


def test_what_outlives_a_program_that_was_stopped_is_ended_too(tmp_path: Path) -> None:
    stubborn = f"trap '' TERM; echo $$ >'{tmp_path}/child'; exec sleep 300"
    with pytest.raises(ZeroDivisionError):
        processes.run(
            ["sh", "-c", f'sh -c "$0" & while [ ! -s "{tmp_path}/child" ]; do :; done; echo ready; wait', stubborn],
            timeout_s=200,
            on_line=lambda _: 1 // 0 > 0,
        )
    assert waiting.ends(int((tmp_path / "child").read_text()))


def test_an_exception_of_the_listener_ends_the_program(tmp_path: Path) -> None:
    def listen(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        processes.run(["sh", "-c", f"echo $$ >'{tmp_path}/pid'; echo x; sleep 300"], timeout_s=200, on_line=listen)
    assert waiting.ends(int((tmp_path / "pid").read_text()))


def test_a_missing_program_is_said_by_name() -> None:
    with pytest.raises(HostError, match="'no-such-program' is not installed"):
        processes.run(["no-such-program"], timeout_s=5)


def test_output_that_is_no_text_is_read_all_the_same() -> None:
    assert processes.run(["printf", "\\377\\n"], timeout_s=60).output == "�\n"


def test_a_failing_vagrant_raises_with_its_reason_and_its_log(fake_vagrant: Path) -> None:
    (fake_vagrant / "does").write_text("echo '==> vm: Starting domain.'; echo 'The box is damaged.'; exit 1\n")
    with pytest.raises(MachineError) as caught:
        vagrant_in(fake_vagrant).up("libvirt", limit_s=60)
    assert caught.value.what == "`vagrant up` ended with 1: The box is damaged."
    assert caught.value.log == str(fake_vagrant / "vagrant.log")
    assert "Starting domain" in (fake_vagrant / "vagrant.log").read_text()


def test_a_vagrant_that_hangs_is_ended_at_its_limit(fake_vagrant: Path) -> None:
    (fake_vagrant / "does").write_text("sleep 300\n")
    with pytest.raises(MachineError, match="was not done after 1 s"):
        vagrant_in(fake_vagrant).up("libvirt", limit_s=1.0)


def test_vagrant_is_told_the_settings_and_the_folder_of_this_campaign_alone(
    fake_vagrant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGRANT_DOTFILE_PATH", "/elsewhere")
    monkeypatch.setenv("VAGRANT_VAGRANTFILE", "Other")
    vagrant_in(fake_vagrant).up("libvirt", limit_s=60)
    told = dict(line.split("=", 1) for line in (fake_vagrant / "env").read_text().splitlines() if "=" in line)
    assert told["VAGRANT_DOTFILE_PATH"] == str(fake_vagrant / "dotfile")
    assert told["HARNESS_MACHINE_JSON"] == str(fake_vagrant / "settings.json")
    assert "VAGRANT_VAGRANTFILE" not in told


def test_the_home_of_vagrant_with_its_plugins_stays_the_one_of_the_user(tmp_path: Path) -> None:
    told = vagrant_cli.environment(tmp_path / "s", tmp_path / "d", {"VAGRANT_HOME": "/home/me/.vagrant.d"})
    assert told["VAGRANT_HOME"] == "/home/me/.vagrant.d"


def test_the_reason_is_what_vagrant_says_outside_its_progress_lines() -> None:
    output = "\x1b[0;31m==> vm: Creating domain\x1b[0m\n    vm: SSH address: 1.2.3.4\nName in use.\nChoose another.\n"
    assert vagrant_cli.reason(output) == "Name in use. Choose another."


def test_every_command_is_the_one_that_vagrant_documents(fake_vagrant: Path) -> None:
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

"""setup.sh hands its command the places and proxies of the user's environment, also through sudo, which clears it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import setup_script

KEPT = {
    "HARNESS_CACHE": "/my cache",
    "HARNESS_STATE": "/state",
    "HARNESS_RUNS": "/runs",
    "XDG_CACHE_HOME": "/xdg",
    "VAGRANT_HOME": "/vagrant",
    "https_proxy": "http://proxy.invalid:1",
    "TERM": "xterm",
}


def run_command(tmp_path: Path, environment: dict[str, str]) -> list[str]:
    """Run the function of setup.sh as a user who has just joined the group libvirt; return what `env` shows."""
    for name, script in {"id": '[ "$1" = -u ] && echo 1000 || echo users', "sudo": 'shift 2; exec env -i "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    own = f"{setup_script.array('KEPT')}\n{setup_script.functions('in_group', 'run_command')}"
    script = f"user=me; command=(env)\n{own}\nrun_command"
    call = ["bash", "-euo", "pipefail", "-c", script]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/me"}
    return subprocess.run(call, capture_output=True, text=True, check=True, env=path | environment).stdout.splitlines()


def test_places_and_proxies_are_handed_on_and_nothing_else_is(tmp_path: Path) -> None:
    shown = run_command(tmp_path, {**KEPT, "SECRET": "x"})
    assert {f"{name}={value}" for name, value in KEPT.items()} <= set(shown)
    assert not [line for line in shown if line.startswith("SECRET")]


def test_what_is_not_set_stays_unset(tmp_path: Path) -> None:
    shown = run_command(tmp_path, {})
    assert sorted(line.partition("=")[0] for line in shown) == ["HOME", "PATH", "TERM"]
    assert "TERM=dumb" in shown

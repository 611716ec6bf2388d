"""The four Vagrant commands that a machine needs, each with a time limit, its exit code checked and its output logged.

`vagrant_call.py` carries each out through python-vagrant, in a process that can be stopped.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import paths, processes
from harness.errors import MachineError

QUICK_S = 300.0  # a few seconds on a quiet host: ssh-config, box add of a local file, destroy


class VagrantCli:
    """The program `vagrant` for one settings file. Every method raises MachineError on failure or a passed limit."""

    def __init__(self, settings: Path, dotfile: Path, log: Path) -> None:
        self.env = environment(settings, dotfile, os.environ)
        self.log = log

    def up(
        self,
        provider: str,
        *,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Create and boot the machine; `on_line` receives each line of Vagrant's output, `limit_s` is by `clock`.

        Vagrant is ended early once `give_up` says so, which is asked about once a second.
        """
        self._run("up", provider=provider, limit_s=limit_s, on_line=on_line, clock=clock, give_up=give_up)

    def destroy(self) -> None:
        """Stop the machine and delete it with its disk."""
        self._run("destroy")

    def box_add(self, name: str, catalog: Path, provider: str) -> None:
        """Make a box known to Vagrant; `catalog` is the JSON file that describes it."""
        self._run("box_add", name=name, url=str(catalog), provider=provider, force=True)

    def ssh_config(self) -> dict[str, str]:
        """Return the options of `vagrant ssh-config`: HostName, Port, User, IdentityFile and others, without quotes."""
        section = re.split(r"^Host ", self._run("ssh_config"), maxsplit=1, flags=re.M)[-1]
        return {key: value.strip('"') for key, value in re.findall(r"^[ \t]+(\w+)[ \t]+(.*\S)", section, re.M)}

    def _run(
        self,
        method: str,
        *,
        limit_s: float = QUICK_S,
        on_line: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        give_up: Callable[[], bool] = lambda: False,
        **arguments: object,
    ) -> str:
        call = [sys.executable, "-m", "harness.machines.vagrant_call", method, json.dumps(arguments)]
        folder, command = paths.data_dir("vagrant"), f"vagrant {method.replace('box_', 'box ').replace('_', '-')}"
        result = processes.run(
            call,
            timeout_s=limit_s,
            log=self.log,
            on_line=on_line,
            env=self.env,
            cwd=folder,
            clock=clock,
            give_up=give_up,
        )
        if result.timed_out:
            raise MachineError(f"`{command}` was not done after {limit_s:.0f} s", log=self.log)
        if not result.ok:
            raise MachineError(
                f"`{command}` ended with {result.exit_code}: {reason(result.output)}",
                hint="`harness doctor` checks what a machine needs on this host",
                log=self.log,
            )
        return result.output


def environment(settings: Path, dotfile: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for Vagrant: `base` without the user's own Vagrant settings, except VAGRANT_HOME."""
    kept = {key: value for key, value in base.items() if not key.startswith("VAGRANT_") or key == "VAGRANT_HOME"}
    return {
        **kept,
        "VAGRANT_DOTFILE_PATH": str(dotfile),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
        "HARNESS_MACHINE_JSON": str(settings),
        "LC_ALL": "C.UTF-8",
    }


def reason(output: str) -> str:
    """Return why Vagrant failed, on one line: its last lines that are not progress lines."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    messages = [line.strip() for line in plain.splitlines() if line.strip() and not re.match(r"^(==>|\s{4}\S+:)", line)]
    return " ".join(messages[-6:])[:500] or "no output"

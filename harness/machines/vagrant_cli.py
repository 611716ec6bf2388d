"""python-vagrant with a time limit on every call, real exit codes, and everything it says in a log.

python-vagrant itself waits without a limit, drops the exit codes of some calls and throws the output of `up` away. All
its calls end in three private methods; those are replaced here, and nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import vagrant
from harness import paths, processes
from harness.errors import MachineError

QUICK_S = 120.0  # status, ssh-config, box add of a local file, destroy


class BoundedVagrant(vagrant.Vagrant):
    """`vagrant` for one settings file. `limit_s` bounds the next call; `on_line` sees what it says."""

    def __init__(self, settings: Path, dotfile: Path, log: Path) -> None:
        super().__init__(root=str(paths.data_dir("vagrant")), env=environment(settings, dotfile, os.environ))
        self.log = log
        self.limit_s = QUICK_S
        self.on_line: Callable[[str], None] | None = None

    def _call_vagrant_command(self, args: Sequence[str | None]) -> None:
        self._run_vagrant_command(args)

    def _stream_vagrant_command(self, args: Sequence[str | None]) -> Iterator[str]:
        yield from self._run_vagrant_command(args).splitlines()

    def _run_vagrant_command(self, args: Sequence[str | None]) -> str:
        argv = ["vagrant", *(arg for arg in args if arg is not None)]
        ended = processes.run(
            argv, timeout_s=self.limit_s, log=self.log, on_line=self.on_line, env=self.env, cwd=Path(self.root)
        )
        if ended.timed_out:
            raise MachineError(f"`vagrant {args[0]}` was not done after {self.limit_s:.0f} s", log=self.log)
        if not ended.ok:
            raise MachineError(
                f"`vagrant {args[0]}` ended with {ended.exit_code}: {reason(ended.output)}",
                hint="`harness doctor` checks what a machine needs on this host",
                log=self.log,
            )
        return ended.output


def environment(settings: Path, dotfile: Path, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of one campaign's Vagrant; what a user's shell says about Vagrant stays out, but its home."""
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
    """What Vagrant says went wrong: the text after its last progress line, on one line."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    said = [line.strip() for line in plain.splitlines() if line.strip() and not re.match(r"^(==>|\s{4}\S+:)", line)]
    return " ".join(said[-6:])[:500] or "it said nothing"

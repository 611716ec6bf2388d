"""Nothing that a killed process had started lives on: real programs, real kills."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import waiting

from harness import guardian, processes

RUNS = "import pathlib, sys; from harness import processes\n\
processes.run(['sh', '-c', sys.argv[1]], timeout_s=600, on_start=lambda pid: pathlib.Path(sys.argv[2]).touch())"
GUARDS = "import subprocess, sys, os; from pathlib import Path; from harness import guardian\n\
folder = Path(sys.argv[1]); (folder / 'part').mkdir(parents=True)\n\
with guardian.folder(folder):\n\
    env = {**os.environ, 'HOME': str(folder)}\n\
    subprocess.Popen(['setsid', 'sh', '-c', sys.argv[2]], env=env)\n\
    sys.stdin.read()"


def started(*argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", *argv], stdin=subprocess.PIPE)


def ignores(pid: int, number: int) -> bool:
    mask = re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(mask and int(mask[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("trap", [":", "trap '' TERM"])
def test_a_killed_process_leaves_no_program_and_no_child_of_one(tmp_path: Path, trap: str) -> None:
    """`trap`: the child may ignore SIGTERM."""
    script = f"({trap}; echo $(exec sh -c 'echo $PPID') >'{tmp_path}/child'; while :; do sleep 1; done) & wait"
    with started(RUNS, script, str(tmp_path / "guarded")) as parent:
        waiting.until((tmp_path / "guarded").exists)
        child = waiting.until(lambda: waiting.number_in(tmp_path / "child"))
        parent.kill()
    assert waiting.ends(child)


def test_a_killed_process_leaves_no_folder_and_no_process_that_it_belongs_to(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    with started(GUARDS, str(folder), f"echo $$ >'{tmp_path}/child'; exec sleep 300") as parent:
        child = waiting.until(lambda: waiting.number_in(tmp_path / "child"))
        parent.kill()
    assert waiting.ends(child)
    waiting.until(lambda: not folder.exists())


def test_a_process_that_ends_well_keeps_what_it_no_longer_guards(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    with started(GUARDS, str(folder), f"echo $$ >'{tmp_path}/child'; exec sleep 300") as parent:
        child = waiting.until(lambda: waiting.number_in(tmp_path / "child"))
        parent.communicate(b"", timeout=waiting.LIMIT_S)
    assert (parent.returncode, waiting.runs(child), folder.exists()) == (0, True, True)
    os.kill(child, signal.SIGKILL)


def test_a_guardian_that_was_killed_is_replaced_and_knows_what_the_first_one_knew(tmp_path: Path) -> None:
    script = "import os, sys, signal; from harness import guardian, processes\n\
with guardian.group(int(sys.argv[1])):\n\
    guardian._process.kill(); guardian._process.wait()\n\
    assert processes.run(['true'], timeout_s=60).ok\n\
    os.kill(os.getpid(), signal.SIGKILL)"
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as left:
        with started(script, str(left.pid)) as parent:
            assert parent.wait(timeout=waiting.LIMIT_S) == -signal.SIGKILL
        assert left.wait(timeout=waiting.LIMIT_S) == -signal.SIGTERM


def test_signals_to_the_group_of_a_terminal_do_not_reach_the_guardian() -> None:
    assert processes.run(["true"], timeout_s=60).ok
    assert guardian._process is not None
    assert os.getpgid(guardian._process.pid) == guardian._process.pid
    waiting.until(lambda: ignores(guardian._process.pid, signal.SIGHUP))  # the last one that it ignores
    os.kill(guardian._process.pid, signal.SIGTERM)
    assert processes.run(["true"], timeout_s=60).ok
    assert guardian._process.poll() is None

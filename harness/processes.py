"""Run a program with a deadline, in a process group of its own, and let nothing of it live on.

Neither `mmdebstrap` nor `vagrant` bounds its own time. A program started here is killed by its group's id when its
limit is reached or when the caller is interrupted, and gets SIGTERM from the kernel when this process dies (Linux,
PR_SET_PDEATHSIG through `setpriv`), so that even a SIGKILL leaves no half-working child behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import HostError

GRACE_S = 10.0  # between SIGTERM and SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a program ended: `exit_code` (negative: the signal that ended it), what it said, how long it took."""

    argv: tuple[str, ...]
    exit_code: int
    output: str
    seconds: float
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.exit_code == 0 and not self.timed_out


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run `argv` to its end or its limit; standard output and error are read together, line by line.

    Every line is appended to `log` and handed to `on_line`. Raises HostError when the program does not exist;
    a failing or late program raises nothing: look at the `Ended`.
    """
    started = time.monotonic()
    child = _start(argv, env, cwd)
    late = threading.Event()
    timer = threading.Timer(timeout_s, _expire, (child, late))
    timer.daemon = True
    timer.start()
    try:
        output = _pump(child, log, on_line)
        exit_code = child.wait()
    finally:
        timer.cancel()
        stop(child)
    return Ended(tuple(argv), exit_code, output, time.monotonic() - started, late.is_set())


def stop(child: subprocess.Popen[str], grace_s: float = GRACE_S) -> None:
    """End a program and all of its group: SIGTERM, then SIGKILL after `grace_s`. Safe when it has ended."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            _signal_group(child.pid, signal.SIGKILL)
            child.wait()
    if child.stdout:
        child.stdout.close()


def _start(argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None) -> subprocess.Popen[str]:
    if shutil.which(argv[0]) is None:
        raise HostError(f"the program {argv[0]!r} is not installed", hint="./setup.sh installs what is missing")
    guard = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    return subprocess.Popen(
        [*guard, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=dict(env) if env is not None else None,
        cwd=cwd,
        start_new_session=True,
    )


def _pump(child: subprocess.Popen[str], log: Path | None, on_line: Callable[[str], None] | None) -> str:
    assert child.stdout is not None
    kept: list[str] = []
    sink: IO[str] | None = log.open("a", encoding="utf-8") if log else None
    try:
        for line in child.stdout:
            kept.append(line)
            if sink:
                sink.write(line)
                sink.flush()
            if on_line:
                on_line(line.rstrip("\n"))
    finally:
        if sink:
            sink.close()
    return "".join(kept)


def _expire(child: subprocess.Popen[str], late: threading.Event) -> None:
    """The limit is reached: end the whole group, so that nobody keeps the pipe open."""
    late.set()
    _signal_group(child.pid, signal.SIGTERM)
    time.sleep(GRACE_S if child.poll() is None else 0.0)
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return

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
from contextlib import suppress
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
    quiet_s: float | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run `argv` to its end or its limit; standard output and error are read together, line by line.

    The limit is `timeout_s` in all, and `quiet_s` without a line of output. Every line is appended to `log` and handed
    to `on_line`. Raises HostError when the program does not exist; a failing or late program raises nothing: look at
    the `Ended`.
    """
    started = time.monotonic()
    child = _start(argv, env, cwd)
    watchdog = _Watchdog(child, timeout_s, quiet_s)
    watchdog.start()
    try:
        output = _pump(child, log, watchdog.heard, on_line)
        exit_code = child.wait()
    finally:
        watchdog.done.set()
        stop(child)
    return Ended(tuple(argv), exit_code, output, time.monotonic() - started, watchdog.fired)


class _Watchdog(threading.Thread):
    """Ends a program's whole group when its time is up, so that nobody keeps the pipe open."""

    def __init__(self, child: subprocess.Popen[str], timeout_s: float, quiet_s: float | None) -> None:
        super().__init__(daemon=True)
        self.child, self.timeout_s, self.quiet_s = child, timeout_s, quiet_s
        self.done, self.fired = threading.Event(), False
        self._began = self._heard_at = time.monotonic()

    def heard(self) -> None:
        """The program said something."""
        self._heard_at = time.monotonic()

    def run(self) -> None:
        """Wait for the end, or bring it about."""
        while not self.done.wait(self._left()):
            if self._left() <= 0.0:
                self.fired = True
                _signal_group(self.child.pid, signal.SIGTERM)
                self.done.wait(GRACE_S)
                _signal_group(self.child.pid, signal.SIGKILL)
                return

    def _left(self) -> float:
        now = time.monotonic()
        ends = [self._began + self.timeout_s] + ([self._heard_at + self.quiet_s] if self.quiet_s else [])
        return max(0.0, min(ends) - now)


def stop(child: subprocess.Popen[str], grace_s: float = GRACE_S) -> None:
    """End a program and all of its group: SIGTERM, then SIGKILL after `grace_s`. Safe when it has ended."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace_s)
        _signal_group(child.pid, signal.SIGKILL)  # it, or those of its group that did not end with it
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


def _pump(
    child: subprocess.Popen[str], log: Path | None, heard: Callable[[], None], on_line: Callable[[str], None] | None
) -> str:
    assert child.stdout is not None
    kept: list[str] = []
    sink: IO[str] | None = log.open("a", encoding="utf-8") if log else None
    try:
        for line in child.stdout:
            heard()
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


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return

"""Run a program with a time limit, in a process group of its own, so that none of its processes outlives it.

Neither `mmdebstrap` nor `vagrant` limits its own time. The group of a program started here is ended when the program
ends, when its limit is reached, and when the caller is interrupted. If this process is killed, the guardian ends the
group, and the kernel sends SIGTERM to the program at once (Linux, PR_SET_PDEATHSIG through `setpriv`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness import guardian
from harness.errors import HostError

GRACE_S = 10.0  # between SIGTERM and SIGKILL
LONGEST_WAIT_S = 1.0  # between two questions whether to give up
SHORTEST_WAIT_S = 0.05  # between two looks at a clock that is slower than the host's


@dataclass(frozen=True)
class ProcessResult:
    """How a program ended: `exit_code` (negative: the signal that ended it), its output, and how long it took."""

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
    clock: Callable[[], float] = time.monotonic,
    on_start: Callable[[int], None] | None = None,
    give_up: Callable[[], bool] = lambda: False,
) -> ProcessResult:
    """Run `argv` to its end or its limit; standard output and error are read together, line by line.

    The limit is `timeout_s` in total, and `quiet_s` without a line of output, in seconds of `clock`, which may be
    slower than the host's (a guest's pace). Every line is appended to `log` and passed to `on_line`; `on_start` gets
    the process id. `give_up` is asked about once a second whether to end the program at once, as if it were late.
    Raises HostError when the program does not exist. A program that fails or is late raises nothing; the result says
    so.
    """
    started = time.monotonic()
    guardian.start()
    child = _start(argv, env, cwd)
    watchdog = _Watchdog(child, timeout_s, quiet_s, clock, give_up)
    watchdog.start()
    # Twice: a guardian that was killed is started anew, which a full host may refuse; and it is told only of what has
    # ended.
    with _stopping(child, watchdog), guardian.group(child.pid), _stopping(child, watchdog):
        if on_start:
            on_start(child.pid)
        output = _read_output(child, log, watchdog.note_output, on_line)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie keeps the group's id for `stop`
    return ProcessResult(tuple(argv), child.returncode, output, time.monotonic() - started, watchdog.fired)


class _Watchdog(threading.Thread):
    """Ends a program's whole group when its time is up, so that no process keeps the pipe open."""

    def __init__(
        self,
        child: subprocess.Popen[str],
        timeout_s: float,
        quiet_s: float | None,
        clock: Callable[[], float],
        give_up: Callable[[], bool],
    ) -> None:
        super().__init__(daemon=True)
        self._give_up = give_up
        self.child, self.timeout_s, self.quiet_s, self.clock = child, timeout_s, quiet_s, clock
        self.done, self.fired = threading.Event(), False
        self._began = self._last_output = clock()

    def note_output(self) -> None:
        """Restart the `quiet_s` limit: the program printed a line."""
        self._last_output = self.clock()

    def run(self) -> None:
        """Wait until the program has ended; end it when its limit is reached."""
        while not self.done.wait(min(max(SHORTEST_WAIT_S, self._left()), LONGEST_WAIT_S)):
            if self._left() <= 0.0 or self._give_up():
                self.fired = True
                _signal_group(self.child.pid, signal.SIGTERM)
                self.done.wait(GRACE_S)
                _signal_group(self.child.pid, signal.SIGKILL)
                return

    def _left(self) -> float:
        now = self.clock()
        ends = [self._began + self.timeout_s] + ([self._last_output + self.quiet_s] if self.quiet_s else [])
        return max(0.0, min(ends) - now)


@contextmanager
def _stopping(child: subprocess.Popen[str], watchdog: _Watchdog) -> Iterator[None]:
    try:
        yield
    finally:
        watchdog.done.set()
        stop(child)


def stop(child: subprocess.Popen[str], grace_s: float = GRACE_S) -> None:
    """End a program and its whole group: SIGTERM, then SIGKILL when the program has ended or after `grace_s`."""
    if child.returncode is None:
        _signal_group(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace_s)
        _signal_group(child.pid, signal.SIGKILL)  # also the processes that outlive the program or ignored SIGTERM
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


def _read_output(
    child: subprocess.Popen[str],
    log: Path | None,
    on_output: Callable[[], None],
    on_line: Callable[[str], None] | None,
) -> str:
    assert child.stdout is not None
    lines: list[str] = []
    sink: IO[str] | None = log.open("a", encoding="utf-8") if log else None
    try:
        for line in child.stdout:
            on_output()
            lines.append(line)
            if sink:
                sink.write(line)
                sink.flush()
            if on_line:
                on_line(line.rstrip("\n"))
    finally:
        if sink:
            sink.close()
    return "".join(lines)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)

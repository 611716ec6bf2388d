"""A process that outlives this one by a moment: it ends the programs that a killed harness had started.

Only the kernel sees a SIGKILL. So a small process waits at the end of a pipe, is told of each program that starts and
ends, and acts when the pipe closes: it ends the process groups, and the processes that a private folder belongs to,
then removes the folder. It is started with the first program, and ends at once when this process ends well. This file
is also its program, so it imports the standard library only.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

GRACE_S = 5.0  # between SIGTERM and SIGKILL
_GROUP, _FOLDER = "group", "folder"

_guarded: set[tuple[str, str]] = set()
_process: subprocess.Popen[bytes] | None = None
_mutex = threading.RLock()  # a stop signal may be handled in the middle of a call


def start() -> None:
    """Start the guardian, unless it runs: what is started afterwards is unguarded only until a line is written."""
    with _mutex:
        _guardian()


@contextmanager
def group(pid: int) -> Iterator[None]:
    """End this process group if this process is killed meanwhile."""
    with _guard(_GROUP, str(pid)):
        yield


@contextmanager
def folder(path: Path) -> Iterator[None]:
    """End the processes that name `path`, and remove it, if this process is killed meanwhile."""
    with _guard(_FOLDER, str(path)):
        yield


def processes_with(variable: str) -> list[int]:
    """Return the other processes of this user that have `variable` (NAME=VALUE) in their environment."""
    return [pid for pid in _others() if os.fsencode(variable) in _read(pid, "environ").split(b"\0")]


def processes_naming(folder: Path) -> list[int]:
    """Return the other processes of this user that name `folder` in their environment or command line.

    ssh's master process leaves every group and overwrites its environment; its socket is in its command line.
    """
    name = os.fsencode(folder)
    return [pid for pid in _others() if name in _read(pid, "environ") or name in _read(pid, "cmdline")]


@contextmanager
def _guard(kind: str, value: str) -> Iterator[None]:
    try:
        _tell("+", kind, value)
        yield
    finally:
        _tell("-", kind, value)


def _tell(sign: str, kind: str, value: str) -> None:
    with _mutex:
        (_guarded.add if sign == "+" else _guarded.discard)((kind, value))
        try:
            _write(_guardian(), sign, kind, value)
        except BrokenPipeError:  # it was killed
            _stop()
            for entry in _guarded:
                _write(_guardian(), "+", *entry)


def _guardian() -> IO[bytes]:
    global _process
    if _process is None:
        command = [sys.executable, "-I", "-S", __file__]
        null = subprocess.DEVNULL
        _process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=null, stderr=null, cwd="/", start_new_session=True
        )
        atexit.register(_stop)
    assert _process.stdin
    return _process.stdin


def _write(pipe: IO[bytes], sign: str, kind: str, value: str) -> None:
    pipe.write(f"{sign} {kind} {os.fsencode(value).hex()}\n".encode())
    pipe.flush()


def _stop() -> None:
    global _process
    if _process is not None and _process.stdin:
        with suppress(OSError):
            _process.stdin.close()
        _process.wait()
        _process = None
    atexit.unregister(_stop)


def _watch(pipe: IO[bytes]) -> None:
    """Keep account of what is guarded until the pipe closes; then end and remove what is left."""
    guarded: set[tuple[str, str]] = set()
    for line in pipe:
        sign, kind, value = line.decode().split()
        value = os.fsdecode(bytes.fromhex(value))
        (guarded.add if sign == "+" else guarded.discard)((kind, value))
    folders = [Path(value) for kind, value in guarded if kind == _FOLDER]
    _end([-int(value) for kind, value in guarded if kind == _GROUP], folders)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _end(groups: list[int], folders: list[Path]) -> None:
    """Send SIGTERM until all have ended, and SIGKILL after `GRACE_S`; a negative number is a process group."""
    until, number = time.monotonic() + GRACE_S, signal.SIGTERM
    while number != signal.SIGKILL:
        living = [pid for pid in groups if _signal(pid, 0)]
        living += [pid for folder in folders for pid in processes_naming(folder)]
        if not living:
            return
        number = signal.SIGKILL if time.monotonic() > until else signal.SIGTERM
        for pid in living:
            _signal(pid, number)
        time.sleep(0.1)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def _others() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_IGN)
    _watch(sys.stdin.buffer)

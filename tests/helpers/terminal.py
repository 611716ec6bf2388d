"""Runs Python on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

from locations import HELPERS, ROOT


def on_a_terminal(arguments: list[str]) -> str:
    """Run Python on a terminal of 200 columns, and return every byte that it writes there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, 200, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": f"{ROOT}:{HELPERS}"}
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
        os.close(ours)
        process.wait()
    return written.decode("utf-8")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the last program has closed it
        return b""

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


def on_a_terminal(arguments: list[str], stdin_after: tuple[str, str] | None = None) -> str:
    """Run Python on a terminal of 200 columns, and return every byte that it writes there.

    `stdin_after`: what the terminal has to show before stdin, then a pipe, gets a text and its end.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, 200, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": f"{ROOT}:{HELPERS}"}
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE if stdin_after else theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    ) as process:
        os.close(theirs)
        written = b""
        while more := _read(ours):
            written += more
            if stdin_after and process.stdin and not process.stdin.closed and stdin_after[0].encode() in written:
                process.stdin.write(stdin_after[1].encode())
                process.stdin.close()
        os.close(ours)
    return written.decode("utf-8")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the last program has closed it
        return b""

"""The first line of a slow command: a person at a terminal sees within half a second that it works.

It stands there before the import of a large library, which lets no other thread run, or when the command has printed
nothing for DELAY_S.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LIBRARIES = frozenset(("ansible_runner", "lightgbm", "pandas", "pyarrow", "scipy", "sklearn", "torch"))
LINE = "harness: one moment ...\n"
DELAY_S = 0.2  # Python and the commands themselves take about as long before


class _FirstLine:
    """Prints the line once, unless another one came first. It is asked for every import, and finds no module itself."""

    def __init__(self) -> None:
        self._due, self._lock = False, threading.Lock()

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        """Print the line before the import of a large library; Python then asks the next finder."""
        if name in LIBRARIES:
            self.print()

    def print(self) -> None:
        """Print the line if it is due."""
        with self._lock, suppress(OSError, ValueError):  # a terminal that is gone ends no command
            if self._due:
                self._due = False
                sys.stderr.write(LINE)
                sys.stderr.flush()

    def set_due(self, due: bool) -> None:
        """Let the line come, or not any more."""
        with self._lock:
            self._due = due


_line = _FirstLine()


def no_first_line() -> None:
    """Say that another line is about to be printed, so that none has to come before it."""
    _line.set_due(False)


@contextmanager
def first_line(quiet: bool) -> Iterator[None]:
    """Print a line on a terminal if this block is slow; nothing elsewhere, or if `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    _line.set_due(True)
    timer = threading.Timer(DELAY_S, _line.print)
    timer.daemon = True
    with suppress(RuntimeError):  # a host that starts no further thread has no such line
        timer.start()
    sys.meta_path.insert(0, _line)
    try:
        yield
    finally:
        sys.meta_path.remove(_line)
        timer.cancel()
        no_first_line()

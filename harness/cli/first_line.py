"""The first line of a slow command: a person at a terminal sees within half a second that it works.

What takes long begins with the import of a large library, or of a module of ours that waits for other programs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder

LIBRARIES = ("ansible_runner", "lightgbm", "pandas", "pyarrow", "scipy", "sklearn", "torch")
SLOW = frozenset((*LIBRARIES, "harness.campaign.loop", "harness.doctor"))
LINE = "harness: one moment ...\n"


class _Watcher(MetaPathFinder):
    """Prints the line when the first of these modules is looked for, and finds none of them itself."""

    def __init__(self) -> None:
        self.printed = False

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        """Print the line before the import of a slow module; Python then asks the next finder."""
        if self.printed or name not in SLOW:
            return
        self.printed = True
        with suppress(OSError, ValueError):  # a terminal that is gone ends no command
            sys.stderr.write(LINE)
            sys.stderr.flush()


@contextmanager
def first_line(quiet: bool) -> Iterator[None]:
    """Print a line on a terminal before the first slow import of this block; nothing elsewhere, or if `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    watcher = _Watcher()
    sys.meta_path.insert(0, watcher)
    try:
        yield
    finally:
        sys.meta_path.remove(watcher)

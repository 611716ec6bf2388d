"""Waits for other processes and threads: for a condition, never for a length of time.

A machine may be slow, or busy for seconds at any moment. A limit is here only to end a test that would never end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

LIMIT_S = 120.0
GROWING_S = (1, 4, 16, 60)  # limits for tests that reach a limit: one of them is long enough to start before it
Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], limit_s: float = LIMIT_S) -> Answer:
    """Call `ask` until its answer is true, and return that. Raises TimeoutError after `limit_s`."""
    end = time.monotonic() + limit_s
    while not (answer := ask()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit_s:g} s")
        time.sleep(0.02)
    return answer


def runs(pid: int) -> bool:
    """Return whether a process runs; a zombie does not. A killed process may still run for a moment."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int) -> bool:
    """Wait for the end of a process; return whether it ended."""
    try:
        return until(lambda: not runs(pid))
    except TimeoutError:
        return False


def number_in(path: Path) -> int | None:
    """Return the number that another process writes as a line; None until the line is complete."""
    text = path.read_text() if path.exists() else ""
    return int(text) if text.endswith("\n") else None

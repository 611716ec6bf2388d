"""Waits for what other processes and threads do: for a condition, never for a length of time.

A machine may be slow, or do something else for seconds at any moment. So a limit stands here only to end a test that
would never end by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

LIMIT_S = 120.0
GROWING_S = (1, 4, 16, 60)  # limits that are meant to be reached: one of them leaves time enough to begin before
Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], limit_s: float = LIMIT_S) -> Answer:
    """The first answer that is true. TimeoutError where there is none in time."""
    end = time.monotonic() + limit_s
    while not (answer := ask()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit_s:g} s")
        time.sleep(0.02)
    return answer


def runs(pid: int) -> bool:
    """Whether a process is there; one that ended but was not waited for is not. A killed one may be, for a moment."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int) -> bool:
    """Whether a process ends, or has ended."""
    try:
        return until(lambda: not runs(pid))
    except TimeoutError:
        return False


def number_in(path: Path) -> int | None:
    """The number in a line that another process writes; None as long as the line is not whole."""
    text = path.read_text() if path.exists() else ""
    return int(text) if text.endswith("\n") else None

"""How much the host's tasks waited for a CPU: its pressure stall information and its load averages."""

from __future__ import annotations

import re
from pathlib import Path

PROC = Path("/proc")


def stalled_us(proc: Path = PROC) -> int | None:
    """Return the time in us, since boot, in which some task of the host waited for a CPU.

    `some total` of /proc/pressure/cpu; None where the kernel has no such file, or refuses to read it (psi=0).
    """
    try:
        text = (proc / "pressure" / "cpu").read_text(encoding="ascii")
    except OSError:
        return None
    match = re.search(r"^some .*\btotal=(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else None


def load_averages(proc: Path = PROC) -> list[float] | None:
    """Return the load averages of 1, 5 and 15 minutes; None where they cannot be read."""
    try:
        words = (proc / "loadavg").read_text(encoding="ascii").split()
        return [float(word) for word in words[:3]]
    except (OSError, ValueError):
        return None

"""The CPU time of every process of the host, from /proc/PID/stat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KTHREADD = 2  # the parent of all kernel threads


@dataclass(frozen=True)
class ProcessTimes:
    """One process: its name, its parent, its start in clock ticks after boot, and CPU time in ticks.

    `own` are its and its threads' ticks, `children` those of the children that ended and that it waited for. A parent
    that ignores SIGCHLD waits for none, and gets nothing.
    """

    name: str
    parent: int
    started: int
    own: int
    children: int

    @property
    def ticks(self) -> int:
        """All ticks that stand under its name."""
        return self.own + self.children


def read_processes(proc: Path) -> dict[int, ProcessTimes]:
    """Return all processes by id; one that ends while it is read is left out."""
    processes = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if (times := parse_stat(text)) is not None:
                processes[int(folder.name)] = times
    return processes


def parse_stat(text: str) -> ProcessTimes | None:
    """Read the text of /proc/PID/stat, whose name may hold spaces and parentheses; None if it is no such text.

    The kernel's threads are named without their number: `kworker`, not `kworker/0:1`.
    """
    head, bracket, rest = text.rpartition(")")
    fields = rest.split()  # from the third field of proc(5) on
    try:
        parent, started = int(fields[1]), int(fields[19])
        utime, stime, cutime, cstime = (int(field) for field in fields[11:15])
    except (ValueError, IndexError):
        return None
    name = "".join(char if char.isprintable() else "?" for char in head.partition("(")[2]) if bracket else ""
    return ProcessTimes(
        name.partition("/")[0] if parent == KTHREADD else name, parent, started, utime + stime, cutime + cstime
    )

"""A machine whose console is a file of our own, as with VirtualBox: the rest of it cannot be seen from outside."""

from __future__ import annotations

from pathlib import Path

from harness.guest.monitor import CpuTimes


class ConsoleFileMonitor:
    """The view of a machine of which the host sees the file of its console only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def console_size(self) -> int:
        """Return the length of the console's output in bytes; 0 until the machine has written something."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def console(self) -> str:
        """Return the console's output so far."""
        return self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""

    def guest_seconds(self) -> float | None:
        """Return None: the guest's clock cannot be read."""
        return None

    def cpu_times(self) -> CpuTimes | None:
        """Return None: the threads of the vCPUs are not known."""
        return None

    def process_ids(self) -> tuple[int, ...]:
        """Return nothing: the machine's processes are not known."""
        return ()

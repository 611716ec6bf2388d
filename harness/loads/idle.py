"""No load: the scheduler with the tasks of the system only."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.loads.base import LoadModel


class Idle(LoadModel):
    """One sleeping process, so that a trial has a load to start, to check and to stop.

    The CPU is idle but for the tasks of the system, which wake for a moment every few milliseconds.
    """

    kind: Literal["idle"] = "idle"

    measures: ClassVar[tuple[str, ...]] = ()

    @property
    def keeps_cpu_busy(self) -> bool:
        """Return False: an idle CPU is what it is for."""
        return False

    def command(self) -> list[str]:
        """Return a command that sleeps longer than any trial."""
        return ["sleep", "infinity"]

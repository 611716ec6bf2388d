"""No load: the scheduler with the tasks of the system only."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from harness.loads.base import Metrics


class Idle(BaseModel):
    """One sleeping process, so that a trial has a load to start, to check and to stop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: ClassVar[tuple[str, ...]] = ()
    keeps_cpu_busy: ClassVar[bool] = False
    counts_requests: ClassVar[bool] = False

    kind: Literal["idle"] = "idle"

    def command(self) -> list[str]:
        """Return a command that sleeps longer than any trial."""
        return ["sleep", "infinity"]

    def ready(self) -> list[str] | None:
        """Return None: it can start at once."""
        return None

    def parse(self, output: str) -> Metrics:
        """Return nothing: it prints no statistics."""
        return {}

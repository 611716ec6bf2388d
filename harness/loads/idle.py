"""Nothing runs: what the scheduler does when only the system itself is there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from harness.loads.base import Metrics


class Idle(BaseModel):
    """One process that sleeps, so that a trial has a load to start, to watch and to stop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: ClassVar[tuple[str, ...]] = ()
    keeps_cpu_busy: ClassVar[bool] = False
    counts_requests: ClassVar[bool] = False

    kind: Literal["idle"] = "idle"

    def command(self) -> list[str]:
        """One process that waits for longer than any trial."""
        return ["sleep", "infinity"]

    def ready(self) -> list[str] | None:
        """Nothing to wait for."""
        return None

    def parse(self, output: str) -> Metrics:
        """It prints nothing and measures nothing."""
        return {}

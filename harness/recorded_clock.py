"""The clock that a guest kept while it was recorded: the host's clock, or the count of executed instructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError

HOST, COUNTED = "host", "counted"
DEFAULT_SPEED = 125  # instructions per microsecond, where an experiment names none


@dataclass(frozen=True)
class RecordedClock:
    """`kind` is HOST or COUNTED; `cpu_speed` is in instructions per microsecond, None for the host's clock."""

    kind: str = HOST
    cpu_speed: int | None = None

    @classmethod
    def of(cls, machine: Mapping[str, Any]) -> RecordedClock:
        """Return the clock that the facts of a machine name; the host's where they name none, as before 0.3.0."""
        kind, speed = str(machine.get("clock") or HOST), str(machine.get("cpu_speed"))
        if kind != COUNTED:
            return cls(kind)
        return cls(kind, int(speed) if speed.isdecimal() and int(speed) else DEFAULT_SPEED)

    @property
    def counted(self) -> bool:
        """Whether the clock counts instructions."""
        return self.kind == COUNTED

    @property
    def short(self) -> str:
        """Return the clock as a table shows it: host, counted 125."""
        return self.kind if self.cpu_speed is None else f"{self.kind} {self.cpu_speed}"

    @property
    def text(self) -> str:
        """Return the clock in words: the host's, or how many instructions make a microsecond."""
        if self.cpu_speed is None:
            return f"the {self.kind}'s"
        return f"counted: {self.cpu_speed} instructions per microsecond ({1000 / self.cpu_speed:g} ns each)"

    @property
    def name(self) -> str:
        """Return the clock as a sentence of the report names it; `model.data.clocks.Clock` says the same."""
        if self.cpu_speed is None:
            return f"the {self.kind}’s clock"  # noqa: RUF001
        return f"a counted clock of {self.cpu_speed} instructions per microsecond"

    def about(self) -> dict[str, str]:
        """Return the clock as the metadata of tables hold it."""
        speed = {} if self.cpu_speed is None else {"cpu_speed": str(self.cpu_speed)}
        return {"clock": self.kind, **speed}


def two_clocks(what: str, arm: str, way_out: str = "") -> UsageError:
    """Return the error of recordings of an arm that are not of one clock; `way_out` is what else could be done."""
    return UsageError(
        what,
        where=arm or None,
        expected="one clock: time passes differently on each (docs/clock.md)",
        hint=f"{way_out}--across-clocks (in Python across_clocks=True) compares them all the same",
    )

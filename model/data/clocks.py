"""The clock that a guest kept while it was recorded. Recordings of different clocks are never pooled.

With the host's clock a guest's time runs on while its CPU waits; a counted clock advances by executed instructions.
Slice lengths, and so what can be predicted from them, differ between the two, and between counted CPUs of different
speed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.data import metadata, parquet
from model.errors import StreamError

HOST, COUNTED = "host", "counted"
FLAG = "--across-clocks"
_DEFAULT_SPEED = 125  # instructions per microsecond, where an experiment names none


@dataclass(frozen=True)
class Clock:
    """`clock` is HOST or COUNTED; `cpu_speed` is in instructions per microsecond, None for the host's clock."""

    clock: str = HOST
    cpu_speed: int | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Clock:
        """Return the clock that a machine's facts, a model's or the metadata of a table name.

        It is the host's where they name none: the versions before 0.3.0 knew no other.
        """
        kind, speed = str(facts.get("clock") or HOST), str(facts.get("cpu_speed"))
        if kind != COUNTED:
            return cls(kind)
        return cls(kind, int(speed) if speed.isdecimal() and int(speed) else _DEFAULT_SPEED)

    def facts(self) -> dict[str, Any]:
        """Return both fields, as they are stored with a model and its scores."""
        return asdict(self)

    def __str__(self) -> str:
        if self.clock == COUNTED:
            return f"a counted clock of {self.cpu_speed} instructions per microsecond"
        return f"the {self.clock}'s clock"


def of_recording(folder: Path) -> Clock:
    """Return the clock of a recording: by its trial, or else by its tables. Raises TableError."""
    return Clock.of(metadata.mapping(metadata.trial(folder), "machine") or parquet.about(folder, "slices"))


def one_clock(folders: Sequence[Path]) -> Clock:
    """Return the clock that all these recordings share. StreamError, which names each clock and its recordings."""
    by_clock: dict[Clock, list[Path]] = {}
    for folder in folders:
        by_clock.setdefault(of_recording(folder), []).append(folder)
    if len(by_clock) > 1:
        mixed = "; ".join(f"{clock} in {paths_in_words(paths)}" for clock, paths in by_clock.items())
        hint = "time passes differently in them, so they are never pooled; name those of one clock"
        raise StreamError(f"recordings of several clocks ({mixed}): {hint}")
    return next(iter(by_clock), Clock())


def require_same(learned: tuple[str, Clock], tested: tuple[str, Clock], across: bool) -> None:
    """Raise StreamError if two sides, each a name and its clock, have different clocks; `across` allows that."""
    if learned[1] != tested[1] and not across:
        sides = f"{learned[0]} is of {learned[1]}, {tested[0]} of {tested[1]}"
        hint = f"time passes differently in them; name recordings of one clock, or give {FLAG} to go on nevertheless"
        raise StreamError(f"{sides}: {hint}")


def caveat(learned: Clock, tested: Clock) -> str | None:
    """Return the warning beside a score across clocks, else None."""
    if learned == tested:
        return None
    return f"Across clocks: trained with {learned}, scored with {tested}; slice lengths of the two are not comparable."


def paths_in_words(folders: Sequence[Path]) -> str:
    """Name recordings in an error: the first, and how many more there are."""
    more = len(folders) - 1
    return f"{folders[0]}" + (f" and {more} other{'s' if more > 1 else ''}" if more else "")

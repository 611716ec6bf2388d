"""The seam: what a tracker is, and what is sent to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

STATES = ("running", "interrupted", "failed", "done")


@dataclass(frozen=True)
class Point:
    """One value of a metric, of the trial number `step` or of the whole run (0), with the time it was known."""

    metric: str
    value: float
    time_ms: int
    step: int = 0


@dataclass(frozen=True)
class SentFile:
    """A file of the run folder, and the folder at the tracker that it goes to (empty: the top)."""

    path: Path
    folder: str = ""


@dataclass(frozen=True)
class SentRun:
    """A run, or one arm of it, in words that every tracker knows.

    `key` is the same each time that this run is sent, and no other run has it. Times are milliseconds since 1970, UTC.
    """

    key: str
    name: str
    experiment: str
    state: str  # one of STATES
    began_ms: int
    ended_ms: int | None
    question: str = ""
    commit: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    files: tuple[SentFile, ...] = ()
    arms: tuple[SentRun, ...] = ()


@dataclass(frozen=True)
class Sent:
    """What a run is at the tracker: its id, and where a person looks at it, an address or a command."""

    run: str
    place: str


class Tracker(Protocol):
    """Where runs are sent. Its methods may take long and may raise anything: they run in a process of their own."""

    modules: ClassVar[tuple[str, ...]]  # that have to be installed, as harness.extras names them

    def __init__(self, uri: str) -> None:
        """Take the address that `address` returned; connect when something is sent."""

    @staticmethod
    def address(given: str | None, runs_dir: Path) -> str:
        """Return the whole address for what the user wrote, or the default. Raises UsageError for a wrong one."""

    def send(self, run: SentRun, known: str | None) -> Sent:
        """Send what the tracker lacks of a run. `known` is the id that it had there the last time.

        Sending the same again changes nothing. Raises TrackingError for what only a person can change.
        """

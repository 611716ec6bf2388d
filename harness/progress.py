"""Progress: what long work calls while it runs, and what shows it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Watcher(Protocol):
    """Receives the progress of one long step; its methods must be cheap and must never raise."""

    def note(self, text: str) -> None:
        """Take one short line about what is happening now."""

    def advance(self, done: float, total: float | None) -> None:
        """Take how much is done, in any unit; `total` is None while it is unknown."""

    def warn(self, text: str) -> None:
        """Take one line that a person has to see, and soon, although the step goes on."""


class View(Protocol):
    """Shows a campaign: a live terminal, plain lines, JSON lines, or warnings only."""

    def step(self, name: str, title: str) -> AbstractContextManager[Watcher]:
        """Show one step for as long as the context is open; an exception marks it failed."""

    def show(self, kind: str, text: str) -> None:
        """Show one line that stays on the screen; `kind` is info, warn or good."""


class SilentWatcher:
    """A watcher that drops all progress."""

    def note(self, text: str) -> None:
        """Drop the line."""

    def advance(self, done: float, total: float | None) -> None:
        """Drop the progress."""

    def warn(self, text: str) -> None:
        """Drop the line."""

"""How long work tells whoever watches what it is doing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Watcher(Protocol):
    """Receives what a long step is doing; must be cheap and must never raise."""

    def note(self, text: str) -> None:
        """One short line: what is happening now."""

    def advance(self, done: float, total: float | None) -> None:
        """How far it is, in any unit; `total` is None while it is unknown."""


class View(Protocol):
    """What a campaign shows itself through: a terminal, plain lines, JSON lines, or nothing."""

    def step(self, name: str, title: str) -> AbstractContextManager[Watcher]:
        """One step that takes time; the context ends when the step does, and an exception marks it failed."""

    def say(self, kind: str, text: str) -> None:
        """One fact worth keeping on the screen; `kind` is info, warn or good."""


class Silent:
    """A watcher that watches nothing."""

    def note(self, text: str) -> None:
        """Drop it."""

    def advance(self, done: float, total: float | None) -> None:
        """Drop it."""

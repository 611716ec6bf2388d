"""The seam: what a campaign asks of a place where trials run."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from harness.guest.remote import Host
from harness.progress import Watcher


@runtime_checkable
class Machine(Protocol):
    """A place where trials run. Making one does nothing; `up` acts, `down` undoes, both may be called again."""

    def up(self, watcher: Watcher) -> list[Host]:
        """Bring it up and check it; every host answers over SSH. Raises MachineError and leaves nothing behind."""

    def down(self) -> None:
        """Take it away; nothing happens when it is not there. Raises MachineError when it cannot be removed."""

    def facts(self) -> dict[str, Any]:
        """What it turned out to be, for the manifest; empty before `up`."""

"""The protocol of a machine: the interface between a campaign and the place where its trials run."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.progress import Watcher
from harness.spec import MachineSpec


@runtime_checkable
class Machine(Protocol):
    """A place where trials run. The constructor only stores; `up` starts the machine and `down` removes it."""

    @staticmethod
    def check_engine(spec: MachineSpec) -> None:
        """Raise HostError if nothing could run such a machine on this host now; asked before its box is made."""

    def up(self, watcher: Watcher) -> list[Host]:
        """Start and check it; every returned host answers over SSH. Raises MachineError and leaves nothing behind."""

    def down(self) -> None:
        """Remove it; do nothing when it does not exist. Raises MachineError when it cannot be removed."""

    def facts(self) -> dict[str, Any]:
        """Return kernel, CPUs, accelerator and the like, for the manifest; empty before `up`."""

    def monitor(self) -> Monitor:
        """Return the view of the machine from outside. Raises MachineError before `up`."""

"""The machines that trials run in. A kind of machine is one class with `up`, `down` and `facts`, listed in KINDS."""

from __future__ import annotations

from harness.machines.attach import attach
from harness.machines.base import Machine
from harness.machines.box_install import uninstall, users
from harness.machines.disk import check_space, discard, discard_superseded, keep
from harness.machines.registry import Entry as Leftover
from harness.machines.registry import entries
from harness.machines.vagrant import VagrantMachine, remove

KINDS: dict[str, type[VagrantMachine]] = {"vagrant": VagrantMachine}


def left_behind() -> list[Leftover]:
    """Return the machines whose process has ended: it was killed before it removed them, or ran with --keep."""
    return [entry for entry in entries() if not entry.owned()]


__all__ = [
    "KINDS",
    "Leftover",
    "Machine",
    "VagrantMachine",
    "attach",
    "check_space",
    "discard",
    "discard_superseded",
    "entries",
    "keep",
    "left_behind",
    "remove",
    "uninstall",
    "users",
]

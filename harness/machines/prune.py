"""Which boxes and provisioned machines nobody needs any more, and their removal with all copies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness import boxes
from harness.boxes import Box, builder, provisioned
from harness.boxes.provisioned import ProvisionedBox
from harness.machines import box_install


@dataclass(frozen=True)
class Removal:
    """A box or a provisioned machine that may go: why, its size with all copies, and the machines that use it.

    `folder` is where it is in the cache; `box` is None if its description there cannot be read.
    """

    title: str
    why: str
    mb: float
    users: tuple[str, ...]
    folder: Path
    box: Box | None

    @property
    def possible(self) -> bool:
        """Whether no machine uses it."""
        return not self.users


def candidates(everything: bool = False) -> list[Removal]:
    """Return what `harness box prune` removes: machines first, because they were made from boxes.

    That is what no recipe makes any more and no run would use. With `everything`, also what runs would use again.
    """
    machines = [machine for machine in provisioned.ls() if everything or not machine.current]
    cached = [box for box in boxes.ls() if everything or not box.current]
    of_machines = [_removal(machine.box, machine.size_mb, machine.current) for machine in machines]
    return [*map(_unreadable, provisioned.unreadable()), *of_machines] + [
        _removal(box.box, box.size_mb, box.current) for box in cached
    ]


def sweep() -> None:
    """Remove what killed builds and killed runs left half-made; keep that of live processes."""
    builder.sweep()
    provisioned.sweep()


def named(name: str) -> list[Removal]:
    """Return the boxes of this name and the machines that were provisioned from them, these first.

    Raises BoxError when no box of this name is in the cache, MachineError if a machine uses one of them.
    """
    machines = [machine for machine in provisioned.ls() if machine.box.name == name]
    cached = [box for box in boxes.ls() if box.box.name == name]
    if not machines and not cached:
        boxes.verify(name)  # raises the error that names the boxes there are
    sizes: list[tuple[Box, float]] = [(machine.box, machine.size_mb) for machine in machines]
    sizes += [(entry.box, entry.size_mb) for entry in cached]
    for box, _ in sizes:
        box_install.require_unused(box)
    return [_removal(box, size_mb, current=True) for box, size_mb in sizes]


def remove(removal: Removal) -> None:
    """Remove a box or a provisioned machine, with the copies that Vagrant and libvirt keep of it.

    Raises MachineError, and removes nothing, if a machine uses it.
    """
    if removal.box is None:
        shutil.rmtree(removal.folder, ignore_errors=True)
        return
    boxes.remove(removal.box, box_install.uninstall)


def _removal(box: Box, size_mb: float, current: bool) -> Removal:
    users = tuple(box_install.users(box))
    return Removal(_title(box), _why(box, current), size_mb + box_install.copies_mb(box), users, box.folder, box)


def _title(box: Box) -> str:
    if isinstance(box, ProvisionedBox):
        return f"{box.name} with {', '.join(box.provisioning.roles)}, made {box.provisioning.made[:10]}"
    return f"{box.name} {box.digest[:12]}"


def _why(box: Box, current: bool) -> str:
    if current:
        return "asked for"
    if isinstance(box, ProvisionedBox):
        return "its box, its roles or their files have changed, or there is a newer one"
    return "its recipe has changed"


def _unreadable(folder: Path) -> Removal:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Removal(folder.name[:12], "its description cannot be read", size / 1e6, (), folder, None)

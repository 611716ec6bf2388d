"""Which boxes and provisioned machines nobody needs any more, and their removal with all copies."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from harness import boxes, paths, temporary
from harness.boxes import Box, CachedBox, builder, cache, provisioned
from harness.boxes.description import DamagedFolder
from harness.boxes.provisioned import CachedMachine, ProvisionedBox
from harness.errors import HostError
from harness.machines import box_install, libvirt


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

    That is what no recipe makes any more and no run would use. With `everything`, also what runs would use again, and
    what cannot be said to be unused because a recipe or a lock is wrong.
    """
    cached = [one for one in _all() if everything or one.current is False]
    return [*map(_of_damaged, _damaged()), *(_removal(one, one.current is not False) for one in cached)]


def sweep() -> None:
    """Remove what killed processes left half-made in the cache, and parts of consoles; keep what is in use."""
    builder.sweep()
    cache.sweep(provisioned.root())
    temporary.sweep(paths.scratch_dir())
    with contextlib.suppress(HostError):  # a host without libvirt has no pool
        libvirt.refresh_pool()
        libvirt.remove_left_consoles()


def named(name: str) -> list[Removal]:
    """Return the boxes of this name and the machines that were provisioned from them, these first.

    The first 12 characters of a folder's name, or more, name one box, also one whose description cannot be read. Raises
    BoxError or UsageError when there is neither, MachineError if a machine uses one of them.
    """
    found = [_of_damaged(one) for one in _damaged() if len(name) >= 12 and one.folder.name.startswith(name)]
    found += [_removal(one, current=True) for one in _all() if _is_named(one.box, name)]
    if not found:
        cache.named(name)  # raises the error that names the boxes there are
    for removal in found:
        box_install.require_none(removal.users, removal.title, str(removal.folder))
    return found


def remove(removal: Removal) -> None:
    """Remove a box or a provisioned machine, with the copies that Vagrant and libvirt keep of it.

    Raises MachineError, and removes nothing, if a machine uses it.
    """
    if removal.box:
        boxes.remove(removal.box, box_install.uninstall)
        return
    box_install.require_none(removal.users, removal.title, str(removal.folder))
    with cache.lock(removal.folder.name[:64]):
        if removal.folder in [one.folder for one in _damaged()]:  # and has not been made whole meanwhile
            cache.remove_folder(removal.folder)


def _is_named(box: Box, name: str) -> bool:
    """Return whether a box, or that from which a machine was provisioned, has this name or this start of a digest."""
    digests = {box.digest, box.base_digest}
    return box.name == name or (len(name) >= 12 and any(digest.startswith(name) for digest in digests))


def _all() -> list[CachedMachine | CachedBox]:
    return [*provisioned.ls(), *boxes.ls()]


def _damaged() -> list[DamagedFolder]:
    return [*provisioned.damaged(), *boxes.damaged()]


def _removal(cached: CachedMachine | CachedBox, current: bool) -> Removal:
    box, users = cached.box, tuple(box_install.users(cached.box))
    return Removal(_title(box), _why(box, current), cached.size_mb + box_install.copies_mb(box), users, box.folder, box)


def _title(box: Box) -> str:
    if isinstance(box, ProvisionedBox):
        return f"{box.name} with {', '.join(box.provisioning.roles)}, made {box.provisioning.made[:10]}"
    return f"{box.name} {box.digest[:12]}" + (f" with the kernel {box.kernel}" if box.kernel_source else "")


def _why(box: Box, current: bool) -> str:
    if current:
        return "asked for"
    if isinstance(box, ProvisionedBox):
        return "its box, its roles or their files have changed, or there is a newer one"
    return "its recipe has changed"


def _of_damaged(one: DamagedFolder) -> Removal:
    users = tuple(box_install.users_of_folder(one.folder))
    return Removal(f"damaged {one.short_name}", one.why, one.size_mb, users, one.folder, None)

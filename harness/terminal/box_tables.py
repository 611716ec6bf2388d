"""Provisioned machines, and what was removed from the cache, as tables for a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from harness.terminal.line import message
from harness.terminal.plain_table import plain_table
from harness.visible import visible

if TYPE_CHECKING:
    from harness.boxes import CachedBox
    from harness.boxes.description import DamagedFolder
    from harness.boxes.provisioned import CachedMachine
    from harness.machines.prune import Removal

DAY_S = 86_400.0
WITH_KERNEL = {
    True: "used by runs with this kernel",
    False: "not used any more: `harness box prune`",
    None: "unknown: the recipe or its lock is wrong",
}
STATES = {  # by whether a machine is current
    True: "used by the next run",
    False: "not used any more: `harness box prune`",
    None: "unknown: the recipe or its lock is wrong",
}


def kernels_table(cached: Sequence[CachedBox]) -> list[RenderableType]:
    """Show the boxes with another kernel than their recipe's; nothing where there is none."""
    others = [built for built in cached if built.box.kernel_source]
    table = plain_table("box with another kernel", "kernel inside", "~from", ">MB", ">age", "~state")
    for built in others:
        box, size, built_ago = built.box, f"{built.size_mb:.0f}", age(time.time() - built.built)
        state = WITH_KERNEL[built.current]
        table.add_row(f"{box.name} {box.digest[:12]}", box.kernel, visible(box.kernel_source), size, built_ago, state)
    return [table, ""] if others else []


def provisioned_table(machines: Sequence[CachedMachine], users: Mapping[Path, Sequence[str]]) -> RenderableType:
    """Show the machines that were provisioned and kept; `users` has the domains that use each folder."""
    if not machines:
        return "no provisioned machine is kept yet; the next run keeps one"
    table = plain_table("provisioned from", "~roles", "~packages", ">MB", ">age", "~used by", "~state")
    for machine in machines:
        made = machine.box.provisioning
        packages = ", ".join(f"{name} {version}" for name, version in made.packages.items())
        state = STATES[machine.current]
        used_by = ", ".join(users.get(machine.box.folder, ())) or "-"
        origin, roles = f"{machine.box.name} {made.base[:12]}", ", ".join(made.roles)
        table.add_row(
            origin, roles, packages, f"{machine.size_mb:.0f}", age(time.time() - machine.built), used_by, state
        )
    return table


def problems(damaged: Sequence[DamagedFolder], wrong: Sequence[str]) -> list[Text]:
    """Say which boxes and machines are damaged, and what is `wrong` with recipes and locks."""
    shown = [
        f"damaged, and used by no run: {visible(one.folder)} ({one.size_mb:.0f} MB): {one.why}\n"
        f"  try: harness box rm {one.short_name}"
        for one in damaged
    ]
    return [message(f"\n{text}") for text in [*shown, *wrong]]


def removals_table(removals: Sequence[Removal], dry_run: bool) -> list[RenderableType]:
    """Show what was removed or, with `dry_run`, would be, and what stays because a machine uses it."""
    if not removals:
        return ["nothing to remove: no box and no provisioned machine is known to be unused (--all removes all)"]
    table = plain_table("", "box or provisioned machine", "~why", ">MB")
    for removal in removals:
        done = ("would remove" if dry_run else "removed") if removal.possible else "stays"
        why = removal.why if removal.possible else f"in use by {', '.join(removal.users)}"
        table.add_row(done, removal.title, why, f"{removal.mb:.0f}")
    freed = sum(removal.mb for removal in removals if removal.possible)
    return [table, f"{'would free' if dry_run else 'freed'} {freed:.0f} MB, copies of Vagrant and libvirt included"]


def age(seconds: float) -> str:
    """Format an age in the largest unit that fits, such as `3 h` or `12 days`."""
    for unit, length in (("days", DAY_S), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit.rstrip('s') if round(seconds / length) == 1 else unit}"
    return "now"

"""What of two sides is the arm: the settings that differ, and the facts that follow from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.comparison.facts.fact_difference import FactDifference
from harness.comparison.facts.fact_sources import NONE

EXPERIMENT = "experiment: "
ALSO_WITHOUT_SWEEP = ("load", "machine")  # the sections in which two experiments say what their only arm is
BRINGS_PACKAGES = ("load", ".kind", ".packages")  # the ends of settings of a load that say what it is run by
BOX = ("box", "box digest", "provisioned digest", "provisioned image digest")
GUEST_CPU = ("guest CPU", "guest CPU flags")
EMULATION = ("hypervisor", "hypervisor version", "accelerator", "clock", "vCPU placement", *GUEST_CPU)
KERNELS_OWN = ("guest kernel", "guest kernel build", "guest kernel configuration")
SCHEDULER = ("guest /proc/sys/kernel/sched_", "guest /sys/kernel/debug/sched")


def changed(rows: Iterable[FactDifference], settings: Collection[str]) -> list[str]:
    """Return the paths of the experiment in which two arms differ, given all paths that they set.

    If they set none, those in which the experiments say another load or machine.
    """
    paths = [row.name.removeprefix(EXPERIMENT) for row in rows if row.name.startswith(EXPERIMENT) and not row.varies]
    wanted = settings or ALSO_WITHOUT_SWEEP
    return [path for path in paths if any(path == one or path.startswith(f"{one}.") for one in wanted)]


def cause(row: FactDifference, settings: Iterable[str]) -> str | None:
    """Return the one of the changed settings that a differing fact is, or that it follows from; None if from none."""
    own = row.name.removeprefix(EXPERIMENT)
    following = (setting for setting in settings if own == setting or follows(row, setting))
    return min(following, key=lambda setting: own != setting, default=None)


def follows(row: FactDifference, setting: str) -> bool:
    """Return whether a fact may differ because of one setting of the experiment."""
    section, _, rest = setting.partition(".")
    if section == "load":
        return setting.endswith(BRINGS_PACKAGES) and _of_load(row)
    key, _, name = rest.partition(".")
    return section == "machine" and _of_machine(row, key, name)


def _of_load(row: FactDifference) -> bool:
    """Return whether a load brings a fact: what it is run by, which the other side lacks, on a machine of its own."""
    alone = NONE in (row.first, row.second)
    return row.name.startswith("provisioned ") or (row.name.startswith("guest package ") and alone)


def _of_machine(row: FactDifference, key: str, name: str) -> bool:
    if key in ("box", "kernel", "fallback"):
        return row.group in ("guest kernel", "packages") or row.name in (*BOX, *GUEST_CPU)
    if key in ("hypervisor", "provider", "accelerator", "clock", "cpu_speed"):
        return row.name in EMULATION or row.name.startswith("guest mitigation ") or row.name == "guest clocksource"
    if key == "cpus":
        return row.name in ("guest CPUs", "clock", "vCPU placement") or row.name.startswith(SCHEDULER)
    if key == "memory_mb":
        return row.name == "guest memory, MB"
    if key == "cmdline":
        return row.name == "guest CPU flags" or (row.group == "guest kernel" and row.name not in KERNELS_OWN)
    return _of_kernel_setting(row, key, name)


def _of_kernel_setting(row: FactDifference, key: str, name: str) -> bool:
    """Return whether a fact is where a kernel shows a sysctl, or a setting of its scheduler."""
    if key == "sysctl":
        return row.name == f"guest /proc/sys/{name.replace('.', '/')}"
    if key != "sched":
        return False
    if name.startswith("features."):
        return row.name == f"guest feature {name.removeprefix('features.')}"
    if name == "tunable_scaling":
        return row.name.startswith(SCHEDULER)
    return row.name.startswith(SCHEDULER) and row.name.endswith(
        (f"/{name}", f"/sched_{name}", f"/sched_{name}_enabled")
    )

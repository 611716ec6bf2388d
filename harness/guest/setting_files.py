"""Where a guest's kernel holds the settings of an experiment: the list that `kernel_settings.py` gets in the guest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.spec import MachineSpec
from harness.spec.kernel_settings import SYSCTL_NAMES, SchedSpec

DEBUGFS = "/sys/kernel/debug"
SCALINGS = {"none": "0", "log": "1", "linear": "2"}  # enum sched_tunable_scaling
FEATURES = [f"{DEBUGFS}/sched/features", f"{DEBUGFS}/sched_features"]  # since Linux 5.13, and before


def wanted(machine: MachineSpec) -> list[dict[str, Any]]:
    """Return name, value, form and possible files of each setting; those first that change others.

    `others` are the settings of the scheduler that a kernel may have instead, with their files.
    """
    rows = [*_sysctls(machine), *_scheduler(machine.sched.model_dump())]
    return sorted(rows, key=lambda row: not row["name"].endswith("tunable_scaling"))


def _sysctls(machine: MachineSpec) -> Iterator[dict[str, Any]]:
    for name, value in machine.sysctl.items():
        yield _row(f"machine.sysctl.{name}", " ".join(str(value).split()), [f"/proc/sys/{name.replace('.', '/')}"])


def _scheduler(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for feature, on in given.pop("features", {}).items():
        yield _row(f"machine.sched.features.{feature}", feature if on else f"NO_{feature}", FEATURES, "feature")
    for name, value in given.items():
        text = (
            SCALINGS[value] if name == "tunable_scaling" else str(int(value)) if isinstance(value, bool) else str(value)
        )
        row = _row(f"machine.sched.{name}", text, _paths(name), "choice" if name == "preempt" else "text")
        yield row | {"others": {other: _paths(other) for other in SchedSpec.model_fields if other != name}}


def _paths(name: str) -> list[str]:
    """Return where a setting of the scheduler may be: since Linux 5.13, and before; for some, to this day."""
    if name == "features":
        return FEATURES
    return [f"{DEBUGFS}/sched/{name}", f"/proc/sys/kernel/sched_{SYSCTL_NAMES.get(name, name)}"]


def _row(name: str, value: str, paths: list[str], form: str = "text") -> dict[str, Any]:
    return {"name": name, "value": value, "paths": paths, "form": form}

"""Give a machine on the host's clock a larger share of the host's CPUs, as far as libvirt does that for every user.

libvirt keeps each machine in a control group, and its weight counts among libvirt's machines, those of others too: so
it is raised by a moderate factor of what the machine has. Under cgroup v1, beside other machines and three busy loops
on two CPUs, the vCPU waited 0.86 times as long. It does not count against other programs, whose groups stand beside
that of all machines together; changing those takes root. The vCPU is not pinned: measured, pinned to a CPU, with QEMU's
other threads or apart from them, it waited 1.01 to 1.02 times as long (`python benchmarks/vcpu_placement.py`,
docs/clock.md). A machine on the counted clock is left alone: waiting does not change what it does.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.machines.libvirt import virsh

FACTOR = 10
LARGEST = {1: 262_144, 2: 10_000}  # of cgroup v1, whose default is 1024, and of cgroup v2, whose default is 100
CGROUP_V2 = Path("/sys/fs/cgroup/cgroup.controllers")  # is there if every controller is one of cgroup v2


def raise_weight(domain: str, clock: str) -> str:
    """Raise the weight of a running domain; return what was done, or why it was not. Nothing depends on it.

    Call it once: each call multiplies the weight that the domain has.
    """
    if clock == "counted":
        return "left alone: what a machine on the counted clock does is the same however long it waits"
    own, version = weight(domain), cgroup_version()
    if not isinstance(own, int):
        return f"left alone: {own}"
    raised = min(FACTOR * own, max(own, LARGEST[version]))
    done = virsh("schedinfo", domain, "--live", "--set", f"cpu_shares={raised}")
    if not done.ok:
        return f"left alone: libvirt cannot weigh machines here ({_reason(done.output)})"
    return f"not pinned; weight {raised} instead of {own} among the machines of libvirt (cgroup v{version})"


def weight(domain: str) -> int | str:
    """Return the weight that a running domain has now; the reason when libvirt does not show it."""
    shown = virsh("schedinfo", domain, "--live")
    line = re.search(r"^cpu_shares\s*:\s*([0-9]+)", shown.output, re.M) if shown.ok else None
    return int(line.group(1)) if line else f"libvirt does not show its weight ({_reason(shown.output)})"


def cgroup_version() -> int:
    """Return the version of the control groups that libvirt weighs machines with: 1 or 2."""
    return 2 if CGROUP_V2.is_file() else 1


def _reason(output: str) -> str:
    return " ".join(output.removeprefix("error: ").split()) or "virsh gave no reason"

"""Give a machine a larger share of the host's CPUs, as far as libvirt does that for every user.

libvirt keeps each machine in a control group, and its weight counts among libvirt's machines: beside other machines and
three busy loops on two CPUs, the vCPU waited 0.86 times as long. It does not count against other programs, whose groups
stand beside that of all machines together; changing those takes root. The vCPU is not pinned: measured, pinned to a
CPU, with QEMU's other threads or apart from them, it waited 1.01 to 1.02 times as long
(`python benchmarks/vcpu_placement.py`, docs/clock.md).
"""

from __future__ import annotations

from harness.machines.libvirt import virsh

WEIGHT = 10_000  # the largest of cgroup v2, whose default is 100; that of cgroup v1 is 1024


def raise_weight(domain: str) -> str:
    """Raise the weight of a running domain; return what was done, or why it was not. Nothing depends on it."""
    done = virsh("schedinfo", domain, "--live", "--set", f"cpu_shares={WEIGHT}")
    if not done.ok:
        reason = " ".join(done.output.removeprefix("error: ").split()) or "virsh gave no reason"
        return f"left alone: libvirt cannot weigh machines here ({reason})"
    return f"not pinned; weight {WEIGHT} among the machines of libvirt"

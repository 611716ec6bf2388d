"""What the host is while a trial is recorded: the host may be updated between the trials of a campaign."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

from harness.guest import trial_facts


def read() -> dict[str, Any]:
    """Return the host's kernel, and what it does about the weaknesses of its CPU, as the guest is asked as well.

    Whatever the host does not show is None.
    """
    cpuinfo, kernel = trial_facts.read("/proc/cpuinfo") or "", os.uname()
    microcode = re.search(r"^microcode\s*:\s*(\S+)", cpuinfo, re.MULTILINE)
    flags = trial_facts.cpu_flags(cpuinfo)
    return {
        "kernel": kernel.release,
        "kernel_build": kernel.version,
        "microcode": microcode.group(1) if microcode else None,
        "cpu_flags_sha256": hashlib.sha256(flags.encode()).hexdigest() if flags else None,
        "smt": trial_facts.read(f"{trial_facts.CPU}/smt/control"),
        "clocksource": trial_facts.read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "transparent_hugepages": trial_facts.chosen(trial_facts.read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "mitigations": trial_facts.mitigations(),
    }

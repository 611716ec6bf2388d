"""What a guest says of its kernel, as far as facts are compared."""

from __future__ import annotations

from typing import Any

FEATURES = "/sys/kernel/debug/sched/features"
KERNEL: dict[str, Any] = {
    "python": "3.11.2",
    "kernel_version": "#1 SMP Debian 6.1.192-3",
    "kernel_cmdline": "root=/dev/vda rw quiet",
    "clocksource": "tsc",
    "kernel_config": {"sha256": "a" * 64, "options": {"CONFIG_HZ": "250", "CONFIG_PREEMPT": "y"}},
    "mitigations": {"meltdown": "Mitigation: PTI"},
    "packages": {"nginx": "1.22.1-9", "systemd": "252.39"},
    "scheduler": {"/proc/sys/kernel/sched_rr_timeslice_ms": "100", FEATURES: "HRTICK"},
}

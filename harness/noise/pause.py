"""How long a machine was paused while it was recorded, as by `virsh suspend`: for that long its CPU did nothing.

Of the host's seconds, the thread of a vCPU spends each running, waiting for a CPU of the host, or asleep. It sleeps
while the guest is idle: what is left is a pause. (A QEMU that waits for its own disk, or is stopped, stands still too.)
"""

from __future__ import annotations

LEAST_S, LEAST_SHARE = 0.2, 0.01  # measured beside other machines: 0.11 s of 78 s were left without a pause
IDLE_ERROR = 0.1  # of the idle time: the guest counts it in ticks, and sleeps a little longer than to the next timer


def paused_s(seconds: float, busy_s: float, idle_s: float, late_s: float) -> float:
    """Return the pause in `seconds` of the host; 0.0 if what is left may be the error of the measurement.

    `busy_s`: how long the vCPU's thread ran or waited. `idle_s`: how long the guest was idle between its own ends of
    the recording, which the host may have seen `late_s` late.
    """
    left_s = seconds - busy_s - idle_s
    error_s = LEAST_S + LEAST_SHARE * seconds + IDLE_ERROR * idle_s + 2 * late_s
    return round(left_s, 3) if left_s > error_s else 0.0

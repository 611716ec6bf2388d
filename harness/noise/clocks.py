"""Steps and suspends of a machine, seen by comparing three of its clocks before and after.

On Linux CLOCK_MONOTONIC stands still while the machine is suspended, CLOCK_BOOTTIME does not, and only CLOCK_REALTIME
can be set. All three are slewed alike, so that a clock that NTP corrects slowly shows no step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

CLOCK_STEPS = "clock steps"  # the check of a verdict
Clocks = Mapping[str, float]
READINGS = 5


def read_clocks(read: Callable[[int], float] = time.clock_gettime) -> dict[str, float]:
    """Return `monotonic_s`, `boottime_s` and `realtime_s`, read within as short a time as in five tries can be had.

    A task that loses its CPU between two of the readings would otherwise report a step.
    """
    tries = []
    for _ in range(READINGS):
        monotonic = read(time.CLOCK_MONOTONIC)
        boottime, realtime = read(time.CLOCK_BOOTTIME), read(time.CLOCK_REALTIME)
        tries.append((read(time.CLOCK_MONOTONIC) - monotonic, monotonic, boottime, realtime))
    _, monotonic, boottime, realtime = min(tries)
    return {"monotonic_s": monotonic, "boottime_s": boottime, "realtime_s": realtime}


def elapsed_s(before: Clocks | None, after: Clocks | None, clock: str = "monotonic") -> float | None:
    """Return the time between two readings by one of the clocks; None without it."""
    key = f"{clock}_s"
    if not before or not after or key not in before or key not in after:
        return None
    return after[key] - before[key]


def step_s(before: Clocks | None, after: Clocks | None) -> float | None:
    """Return by how much the date was set forward (below 0: back) between two readings; None without them."""
    return _difference(before, after, "realtime", "boottime")


def suspended_s(before: Clocks | None, after: Clocks | None) -> float | None:
    """Return how long the machine was suspended between two readings; None without them."""
    return _difference(before, after, "boottime", "monotonic")


def _difference(before: Clocks | None, after: Clocks | None, clock: str, other: str) -> float | None:
    elapsed, by_other = elapsed_s(before, after, clock), elapsed_s(before, after, other)
    return None if elapsed is None or by_other is None else round(elapsed - by_other, 4) + 0.0  # not -0.0

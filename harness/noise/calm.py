"""Waiting until a busy host leaves a guest the CPUs that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.noise.host_use import HostUse
from harness.progress import Watcher

WINDOW_S = 2.0  # shorter ones are decided by single processes that start and end
CALM_WINDOWS = 2  # in a row: the steps of a build have pauses between them


@dataclass(frozen=True)
class Wait:
    """How a wait ended: whether the host became calm, how long that took, and how busy it was in the end."""

    calm: bool
    seconds: float
    use: HostUse | None


def wait_for_calm(limit_s: float, guest_cpus: int, measure: Callable[[float], HostUse], watcher: Watcher) -> Wait:
    """Wait until the host leaves room for `guest_cpus` in two windows of 2 s in a row, at most about `limit_s`.

    `measure` measures the host for so many seconds.
    """
    waited, calm_windows, use = 0.0, 0, None
    while waited < limit_s and calm_windows < CALM_WINDOWS:
        use = measure(WINDOW_S)
        waited += use.seconds
        calm_windows = calm_windows + 1 if use.leaves_room(guest_cpus) else 0
        watcher.note("the host is calm; looking once more" if calm_windows else f"host busy: {use.text}; waiting")
        watcher.advance(waited, limit_s)
    return Wait(calm_windows >= CALM_WINDOWS, waited, use)

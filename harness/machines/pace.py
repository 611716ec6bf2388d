"""The pace of a guest: a clock for limits that stands still while the host keeps the guest waiting for a CPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from harness.guest.monitor import CpuTimes
from harness.machines import schedstat

SLOWEST = 0.02  # of the host's clock: a limit is reached at last, also where the guest gets nothing
LONGEST_DEBT_S = 10.0  # of waiting that is taken off later; a wait is known only when it has ended


class GuestPace:
    """A clock in seconds, for deadlines; call it to read it. Any thread may.

    It is the host's monotonic clock until `follow` names QEMU's threads. From then on it is the host's clock less the
    time that these threads wanted to run and waited, never slower than SLOWEST, and divided by `slower`: how many times
    longer the host works for one second of this guest than for one of the slowest.
    """

    def __init__(
        self,
        slower: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        times: Callable[[int], CpuTimes | None] = schedstat.times,
    ) -> None:
        self._slower, self._clock, self._times = slower, clock, times
        self._lock = threading.Lock()
        self._cpus: dict[int, int] = {}  # thread -> ns it had waited at the last reading
        self._main: dict[int, int] = {}
        self._read_at = self._value = clock()
        self._debt = 0.0

    def __call__(self) -> float:
        """Return the reading in seconds; only differences of readings mean something."""
        with self._lock:
            now = self._clock()
            elapsed, self._read_at = now - self._read_at, now
            if self._cpus:
                self._debt += self._waited()
                waited = min(self._debt, (1.0 - SLOWEST) * elapsed)
                self._debt = min(self._debt - waited, LONGEST_DEBT_S)
                elapsed = (elapsed - waited) / self._slower
            self._value += elapsed
            return self._value

    @property
    def following(self) -> bool:
        """Whether QEMU's threads are known."""
        return bool(self._cpus)

    def follow(self, cpus: Sequence[int], main: int | None) -> None:
        """Take off the waiting of these threads from now on: those of the vCPUs, and QEMU's main loop.

        A vCPU that hands a timer to the main loop waits for it, so their waits add up. Of several vCPUs, the one that
        waited longest counts: they wait side by side.
        """
        self()
        with self._lock:
            self._cpus = {thread: self._wait_ns(thread) for thread in cpus}
            self._main = {main: self._wait_ns(main)} if main else {}

    def _waited(self) -> float:
        """Return the seconds of waiting since the last reading; a thread that has ended waited no longer."""
        of_cpus = [self._since(self._cpus, thread) for thread in self._cpus]
        of_main = [self._since(self._main, thread) for thread in self._main]
        return (max(of_cpus) + sum(of_main)) / 1e9

    def _since(self, waits: dict[int, int], thread: int) -> int:
        before, waits[thread] = waits[thread], self._wait_ns(thread, waits[thread])
        return max(0, waits[thread] - before)

    def _wait_ns(self, thread: int, unknown: int = 0) -> int:
        times = self._times(thread)
        return times.wait_ns if times else unknown

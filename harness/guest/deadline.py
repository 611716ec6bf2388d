"""Deadlines on any clock, and a watchdog that acts when one has passed.

The clock of a machine may stand still while its host keeps it waiting (`Host.clock`). So nothing here sleeps until a
deadline: the clock is asked again at least once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

CHECK_S = 1.0  # between two looks at the clock

Clock = Callable[[], float]


class Deadline:
    """A point in time on a clock, `seconds` from now."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Return the seconds that remain; 0.0 when it has passed."""
        return max(0.0, self._end - self._clock())


class Watchdog:
    """Calls `act` once, in a thread of its own, if the block is still running `grace_s` after the deadline.

    It does so at once when `lost`, which is asked about once a second, says that there is nothing to wait for.
    """

    def __init__(
        self,
        deadline: Deadline,
        act: Callable[[], object],
        grace_s: float = 0.0,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self.fired = False
        self._deadline, self._act, self._grace_s, self._lost = deadline, act, grace_s, lost
        self._over = threading.Event()

    def __enter__(self) -> Watchdog:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()

    def _watch(self) -> None:
        while (left := self._deadline.left()) > 0.0:
            if self._over.wait(min(left, CHECK_S)):
                return
            if self._lost() and not self._over.is_set():
                self._act()
                return
        if not self._over.wait(self._grace_s):
            self.fired = True
            self._act()

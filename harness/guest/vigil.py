"""A vigil over one machine: does it still run? It asks the hypervisor, never the guest.

Whoever waits for a machine, over SSH or without a connection, looks here as well: so a machine that was killed, paused
or left by its guest ends every wait within seconds, with the reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.errors import HostError, LostMachineError
from harness.guest.deadline import Clock
from harness.guest.monitor import FLOOD, RUNNING, Condition, Monitor, bounded_console, is_flooded

ASK_S = 3.0  # between two questions; each takes some 20 ms of a CPU
PATIENCE_S = 30.0  # for a paused machine to be resumed
STANDING = ("paused", "unknown")
AGAIN = {"paused": "the machine runs again", "unknown": "the hypervisor answers again"}

STARTS = ("Linux version ", "harness-host-key ")  # on the serial console; after the boot, a second start
ENDINGS = {"Kernel panic": "the kernel of the guest panicked", **dict.fromkeys(STARTS, "the guest started again")}


@dataclass(frozen=True)
class Trouble:
    """A time in which a machine stood still, or its hypervisor did not answer; by CLOCK_MONOTONIC, as it was seen."""

    state: str
    why: str
    since: float
    until: float


class Vigil:
    """Watches the machine behind `monitor`; any thread may look.

    `runs` is False for a machine that is about to start: it has ended only if it ran before. `reads_console` is False
    during a boot, which says what later means another one, and where the caller reads the console. `tell` gets one line
    when a trouble begins or ends.
    """

    def __init__(
        self,
        monitor: Monitor,
        where: str,
        *,
        runs: bool = True,
        reads_console: bool = True,
        clock: Clock = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.where = where
        self.tell: Callable[[str], object] = lambda text: None
        self._monitor, self._clock, self._patience_s = monitor, clock, patience_s
        self._lock = threading.Lock()
        self._asked, self._condition = float("-inf"), RUNNING
        self._troubles: list[Trouble] = []
        self._ran, self._reads_console = runs, reads_console
        self._size, self._skipped = -1, -1  # of the console: what it held when it was first read does not count
        if reads_console:
            self._ending()

    def look(self, at_once: bool = False) -> Condition:
        """Return the machine's condition, asked for every ASK_S, or now; that it ended is never asked again."""
        with self._lock:
            if self._condition.state != "ended" and (at_once or self._clock() - self._asked >= ASK_S):
                began = self._clock()
                self._take(self._ask(), began)
                self._asked = self._clock()
            return self._condition

    def require(self, at_once: bool = False) -> None:
        """Raise LostMachineError if the machine has ended, or has been paused for longer than there is patience.

        With `at_once`, whoever calls has lost the machine already: a pause is the reason, however short.
        """
        condition = self.look(at_once)
        if condition.state == "ended":
            raise LostMachineError(condition.why, where=self.where)
        late = condition.state == "paused" and self._stood_still_s() >= self._patience_s
        if late or (condition.state == "paused" and at_once):
            nobody = f"; nobody resumed it within {self._patience_s:g} s" if late else ""
            raise LostMachineError(f"{condition.why}{nobody}", where=self.where)

    def lost(self) -> bool:
        """Return whether `require` raises."""
        try:
            self.require()
        except LostMachineError:
            return True
        return False

    def troubles(self) -> list[Trouble]:
        """Return the troubles so far, the oldest first."""
        with self._lock:
            return list(self._troubles)

    def _stood_still_s(self) -> float:
        with self._lock:
            return self._clock() - self._troubles[-1].since if self._troubles else 0.0

    def _ask(self) -> Condition:
        try:
            condition = self._monitor.condition()
        except (HostError, OSError) as error:  # such as a host that has no room for one more process
            condition = Condition("unknown", f"the hypervisor cannot be asked: {error}; going on without it")
        if condition.state == "running":
            self._ran = True
            ending = self._ending() if self._reads_console else None
            return Condition("ended", ending) if ending else condition
        return condition if self._ran else RUNNING

    def _take(self, condition: Condition, began: float) -> None:
        """Note a condition that was asked for at `began`; a trouble lasts from its first to its last answer."""
        before, self._condition = self._condition, condition
        if before.state in STANDING and condition == before:
            self._troubles[-1] = replace(self._troubles[-1], until=self._clock())
        if condition == before:
            return
        if condition.state in STANDING:
            self._troubles.append(Trouble(condition.state, condition.why, began, self._clock()))
            wait = f"; {self._patience_s:g} s for it to be resumed" if condition.state == "paused" else ""
            self.tell(f"{self.where}: {condition.why}{wait}")
        elif condition.state == "running":
            last = self._troubles[-1]
            self.tell(f"{self.where}: {AGAIN[last.state]} after {began - last.since:.0f} s")

    def _ending(self) -> str | None:
        """Return what the console says of a guest that has ended, started again or floods it; read only if it grew."""
        try:
            if (size := self._monitor.console_size()) == self._size:
                return None
            if is_flooded(size):
                return f"{FLOOD}: {size / 1e6:.0f} MB"
            text = bounded_console(self._monitor, size)
            self._size = size
        except (HostError, OSError):
            return None  # `condition` says it the next time
        if self._skipped < 0:
            self._skipped = len(text)
        if len(text) < self._skipped:  # it was cut off at its beginning, to keep it short
            self._skipped = 0
        return ending_in(text[self._skipped :])


def ending_in(console: str) -> str | None:
    """Return what a part of the console from after the boot says of a guest that ended; None if it did not."""
    return next((meaning for sign, meaning in ENDINGS.items() if sign in console), None)

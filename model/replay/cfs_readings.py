"""When the kernel read its clock for a wakeup: how long the running task had run by then.

The kernel reads the run queue's clock once for a wakeup (ttwu_queue), and brings the running task's groups up to date
with that reading. The stamp of a wakeup is some microseconds off it. How many is learnt from wakeups that make the
running task leave: the switch that follows skips its own reading (rq_clock_skip_update), so the run time that is
accounted there ends at the wakeup's.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.replay.clock import Clock
from model.replay.events import WAKING, WOKEN

PLAUSIBLE_NS = 40e3  # a greater difference is another reading, or time that the host took
STEP, MOST_NS = 0.2, 500.0  # share of a difference by which the expectation moves, and the most at once


@dataclass(frozen=True)
class Wakeup:
    """A wakeup that is to be replayed, and the run time of the running task at its reading of the clock."""

    tid: int
    kind: int
    ran_ns: float


class Readings:
    """The clock of the run queue, and the wakeups that were traced since the last run time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._after_ns = {WAKING: 4e3, WOKEN: -5e3}  # from the stamp of an event to the reading
        self._pending: list[tuple[int, int, int]] = []  # stamp, tid, kind

    def add(self, stamp_ns: int, tid: int, kind: int) -> None:
        """Add a traced wakeup; one that is traced before and after it is queued counts once, after."""
        if kind == WOKEN:
            self._pending = [other for other in self._pending if other[1] != tid]
        self._pending.append((stamp_ns, tid, kind))

    def take(self) -> list[Wakeup]:
        """Take the wakeups since the last call, in their order."""
        pending, self._pending = self._pending, []
        return [Wakeup(tid, kind, self._elapsed_ns(stamp_ns, kind)) for stamp_ns, tid, kind in pending]

    def learn(self, wakeup: Wakeup, runtime_ns: int) -> None:
        """Learn the delay of stamps from a wakeup after which the running task was to leave after `runtime_ns`."""
        late_ns = runtime_ns - wakeup.ran_ns
        if abs(late_ns) < PLAUSIBLE_NS:
            self._after_ns[wakeup.kind] += max(-MOST_NS, min(MOST_NS, STEP * late_ns))

    def _elapsed_ns(self, stamp_ns: int, kind: int) -> float:
        return self.clock.elapsed_ns(stamp_ns, round(self._after_ns[kind]))

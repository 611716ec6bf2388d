"""The run queue's own clock (rq_clock), rebuilt from the run times that were accounted with it.

The kernel reads the time when it takes a run queue's lock (update_rq_clock), accounts run times with that reading, and
often skips the next reading (rq_clock_skip_update). A trace point is stamped later: by microseconds or, if a softirq
runs in between, by a tenth of a millisecond. The accounted run times add up to that clock without a gap, so each
reading is known to the nanosecond, except for one constant: the delay of the fastest stamp.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

KEPT = 512  # offsets (stamp minus reading); the least is the delay of the fastest stamp
JUMP_NS = 50_000  # if the least of RECENT offsets exceeds it by this much, a run time was not traced: keep only these
RECENT = 40


class Clock:
    """Estimates readings of the run queue's clock, in nanoseconds."""

    def __init__(self) -> None:
        self.read_ns: int | None = None  # reading at the last accounting
        self.delay_ns = 0  # of the fastest stamp: its time minus the reading
        self._offsets: deque[int] = deque(maxlen=KEPT)
        self._least: deque[tuple[int, int]] = deque()  # number and offset of those that no later one is less than
        self._added = 0

    def account(self, stamp_ns: int, runtime_ns: int) -> None:
        """Advance the clock by a run time whose accounting was stamped `stamp_ns`."""
        self.read_ns = (self.read_ns if self.read_ns is not None else stamp_ns - runtime_ns) + runtime_ns
        self._add_offset(stamp_ns - self.read_ns)

    def elapsed_ns(self, stamp_ns: int, read_after_ns: int) -> int:
        """Return the time from the last reading to one `read_after_ns` after the stamp; 0 before any accounting."""
        return max(stamp_ns - self.delay_ns + read_after_ns - self.read_ns, 0) if self.read_ns is not None else 0

    def resume(self, stamp_ns: int) -> None:
        """Continue after a time that was not accounted, with a switch that was stamped `stamp_ns`."""
        self.read_ns = stamp_ns - self.delay_ns

    def _add_offset(self, offset_ns: int) -> None:
        """Add a stamp's offset; keep only the latest if they show that a run time was not traced."""
        self._append(offset_ns)
        if offset_ns > self.delay_ns + JUMP_NS and len(self._offsets) >= RECENT:
            recent = list(islice(reversed(self._offsets), RECENT))
            if min(recent) > self.delay_ns + JUMP_NS:
                self._offsets.clear()
                self._least.clear()
                for offset in reversed(recent):
                    self._append(offset)

    def _append(self, offset_ns: int) -> None:
        """Add an offset to the last KEPT ones, and find the least of them."""
        self._offsets.append(offset_ns)
        self._added += 1
        while self._least and self._least[-1][1] >= offset_ns:
            self._least.pop()
        self._least.append((self._added, offset_ns))
        if self._least[0][0] <= self._added - KEPT:
            self._least.popleft()
        self.delay_ns = self._least[0][1]

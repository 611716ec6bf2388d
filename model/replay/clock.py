"""The run queue's own clock (rq_clock), rebuilt from the run times that were accounted with it.

The kernel reads the time when it takes a run queue's lock (update_rq_clock), accounts run times with that reading, and
often skips the next reading (rq_clock_skip_update). A trace point is stamped later: by microseconds or, if a softirq
runs in between, by a tenth of a millisecond. The accounted run times add up to that clock without a gap, so each
reading is known to the nanosecond, except for one constant: the delay of the fastest stamp.
"""

from __future__ import annotations

from collections import deque

KEPT = 512  # offsets (stamp minus reading); the least is the delay of the fastest stamp
JUMP_NS = 50_000  # if the least of RECENT offsets exceeds it by this much, a run time was not traced: keep only these
RECENT = 40


class Clock:
    """Estimates readings of the run queue's clock, in nanoseconds."""

    def __init__(self) -> None:
        self.read_ns: int | None = None  # reading at the last accounting
        self.delay_ns = 0  # of the fastest stamp: its time minus the reading
        self._offsets: deque[int] = deque(maxlen=KEPT)

    def account(self, stamp_ns: int, runtime_ns: int) -> None:
        """Advance the clock by a run time whose accounting was stamped `stamp_ns`."""
        self.read_ns = (self.read_ns if self.read_ns is not None else stamp_ns - runtime_ns) + runtime_ns
        self._add_offset(stamp_ns - self.read_ns)

    def elapsed_ns(self, stamp_ns: int, read_after_ns: int) -> int:
        """Return the time from the last reading to one `read_after_ns` after the stamp; 0 before any accounting."""
        return max(stamp_ns - self.delay_ns + read_after_ns - self.read_ns, 0) if self.read_ns is not None else 0

    def _add_offset(self, offset_ns: int) -> None:
        self._offsets.append(offset_ns)
        self.delay_ns = min(self.delay_ns, offset_ns) if len(self._offsets) > 1 else offset_ns
        if len(self._offsets) % 16 == 0 or offset_ns > self.delay_ns + JUMP_NS:
            recent = list(self._offsets)[-RECENT:]
            if len(recent) == RECENT and min(recent) > self.delay_ns + JUMP_NS:
                self._offsets = deque(recent, maxlen=KEPT)
            self.delay_ns = min(self._offsets)

"""The run queue's own clock, rebuilt from what was accounted with it.

The kernel reads the time where it takes a run queue's lock (`update_rq_clock`) and accounts run times with that
reading, often skipping the next one (`rq_clock_skip_update`). A trace point is stamped later: by microseconds or, where
a softirq lies between, by a tenth of a millisecond. The run times accounted add up to that clock without a gap, so what
it read at each accounting is known to the nanosecond, but for one constant: how late the promptest stamp is.
"""

from __future__ import annotations

from collections import deque

KEPT = 512  # offsets, of which the least says how late a stamp is at best
JUMP_NS = 50_000  # a later clock than this, 40 times running, was set anew: something ran that was not traced
RECENT = 40


class Clock:
    """Nanoseconds; `read_ns` is what the kernel's clock said at the last accounting."""

    def __init__(self) -> None:
        self.read_ns: int | None = None
        self.late_ns = 0  # stamp less clock, at best
        self._offsets: deque[int] = deque(maxlen=KEPT)

    def account(self, stamp_ns: int, runtime_ns: int) -> None:
        """A run time was accounted at `stamp_ns`."""
        self.read_ns = (self.read_ns if self.read_ns is not None else stamp_ns - runtime_ns) + runtime_ns
        self._note(stamp_ns - self.read_ns)

    def since_ns(self, stamp_ns: int, delay_ns: int) -> int:
        """What the clock gained from its last reading until it was read `delay_ns` after `stamp_ns`."""
        return max(stamp_ns - self.late_ns + delay_ns - self.read_ns, 0) if self.read_ns is not None else 0

    def _note(self, offset_ns: int) -> None:
        self._offsets.append(offset_ns)
        self.late_ns = min(self.late_ns, offset_ns) if len(self._offsets) > 1 else offset_ns
        if len(self._offsets) % 16 == 0 or offset_ns > self.late_ns + JUMP_NS:
            recent = list(self._offsets)[-RECENT:]
            least = min(recent)
            if len(recent) == RECENT and least > self.late_ns + JUMP_NS:
                self._offsets = deque(recent, maxlen=KEPT)
            self.late_ns = min(self._offsets)

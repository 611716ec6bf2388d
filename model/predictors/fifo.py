"""First come, first served: whoever has been waiting longest is next."""

from __future__ import annotations

from collections.abc import Sequence

from model.data.streams import Segment
from model.predictors.scheduling_policy import Ranked


class Fifo(Ranked):
    """The runnable tasks in the order in which they began to wait; the one that just left the CPU is never next."""

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """By waiting time, the longest first, as the recording's run queue keeps it."""
        return [_order(segment, event) for event in range(segment.start, segment.stop)]


def _order(segment: Segment, event: int) -> list[int]:
    stream = segment.stream
    last = int(stream.tid[event - 1]) if event else -1
    waiting = stream.runnable(event).tolist()
    return [tid for tid in waiting if tid != last] + [tid for tid in waiting if tid == last]

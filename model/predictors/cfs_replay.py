"""Replays the Completely Fair Scheduler from what the kernel traced (see `model.replay.cfs`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from model.data.streams import Segment
from model.predictors.scheduling_policy import Ranked
from model.replay import events, names
from model.replay.cfs import Rules
from model.replay.cfs_replay import Walk
from model.settings import Range

LATENCY_MS = Range(0.1, 1000.0)  # as the kernel lets sched_latency_ns be set
GRANULARITY_MS = Range(0.0, 1000.0)  # as it lets sched_wakeup_granularity_ns


class CfsReplay(Ranked):
    """`forget_buddies_when_picked` is the rule up to Linux 5.13. For recordings made on CFS kernels, before 6.6."""

    def __init__(
        self,
        latency_ms: Annotated[float, LATENCY_MS] = 6.0,
        wakeup_granularity_ms: Annotated[float, GRANULARITY_MS] = 1.0,
        forget_buddies_when_picked: bool = False,
    ) -> None:
        super().__init__()
        self.latency_ms, self.wakeup_granularity_ms = latency_ms, wakeup_granularity_ms
        self.forget_buddies_when_picked = forget_buddies_when_picked

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """As the replayed queue would pick them. Raises TableError where wakeups or run times are not recorded."""
        events.demand_vruntime(segment.stream)
        rules = Rules(self.latency_ms * 1e6, self.wakeup_granularity_ms * 1e6, self.forget_buddies_when_picked)
        walk = Walk(segment.stream, names.read(segment.stream.folder), rules)
        return list(walk.rankings(events.read(segment.stream, segment.stop), segment.start))

"""Replays the Completely Fair Scheduler from what the kernel traced (see `model.replay.cfs`)."""

from __future__ import annotations

from collections.abc import Sequence

from model.data.streams import Segment
from model.limits import demand
from model.predictors.scheduling_policy import Ranked
from model.replay import events, names
from model.replay.cfs import Rules
from model.replay.cfs_replay import Walk

LATENCY_MS = (0.1, 1000.0)  # as the kernel lets sched_latency_ns be set
GRANULARITY_MS = (0.0, 1000.0)  # as it lets sched_wakeup_granularity_ns


class CfsReplay(Ranked):
    """`forget_buddies_when_picked` is the rule up to Linux 5.13. For recordings made on CFS kernels, before 6.6.

    Raises SettingError where a time is out of the kernel's own range.
    """

    def __init__(
        self, latency_ms: float = 6.0, wakeup_granularity_ms: float = 1.0, forget_buddies_when_picked: bool = False
    ) -> None:
        super().__init__()
        demand("cfs_replay.latency_ms", latency_ms, *LATENCY_MS)
        demand("cfs_replay.wakeup_granularity_ms", wakeup_granularity_ms, *GRANULARITY_MS)
        self.latency_ms, self.wakeup_granularity_ms = latency_ms, wakeup_granularity_ms
        self.forget_buddies_when_picked = forget_buddies_when_picked

    def settings(self) -> dict[str, object]:
        """The constructor's arguments."""
        settings = ("latency_ms", "wakeup_granularity_ms", "forget_buddies_when_picked")
        return {name: getattr(self, name) for name in settings}

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """As the replayed queue would pick them. Raises TableError where wakeups or run times are not recorded."""
        events.demand_vruntime(segment.stream)
        rules = Rules(self.latency_ms * 1e6, self.wakeup_granularity_ms * 1e6, self.forget_buddies_when_picked)
        walk = Walk(segment.stream, names.read(segment.stream.folder), rules)
        return list(walk.rankings(events.read(segment.stream, segment.stop), segment.start))

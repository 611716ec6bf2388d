"""Tasks, groups and queues of EEVDF; `model.replay.eevdf` has the rules. Times in nanoseconds, V is avg_vruntime."""

from __future__ import annotations

from dataclasses import dataclass

from model.replay import entities


@dataclass(frozen=True)
class Rules:
    """Settings that differ between kernels and machines. The defaults are those of Linux 6.12 on one CPU."""

    slice_ns: int = 700_000
    tick_ns: int = 4_000_000
    delay_dequeue: bool = True  # since 6.12
    run_to_parity: bool = True
    place_lag: bool = True
    place_deadline_initial: bool = True
    delay_zero: bool = True
    pick_buddy: bool = True
    preempt_short: bool = True


@dataclass(eq=False)
class Entity(entities.Entity):
    """A task, or a group of tasks; one that sleeps and is `delayed` (sched_delayed) is still queued."""

    queue: Queue
    my_q: Queue | None = None
    vruntime: int = 0
    deadline: int = 0
    lag: int = 0  # vlag: V - vruntime when it left
    picked_deadline: int | None = None  # the deadline it was picked with
    delayed: bool = False
    credited_ns: int = 0  # of a group: how much of the run time of all tasks its vruntime includes


@dataclass(eq=False)
class Queue(entities.Queue[Entity]):
    """A cfs_rq of EEVDF."""

    zero: int = 0  # V when it was last computed; sums are relative to it

    def load(self) -> tuple[int, int]:
        """Return the sums of (vruntime - zero) * weight and of weight (avg_vruntime and avg_load of the cfs_rq)."""
        zero = self.zero
        moment = weight = 0
        for entity in self.entities:
            moment += (entity.vruntime - zero) * entity.weight
            weight += entity.weight
        return moment, weight

    def mean(self) -> int:
        """Return V, rounded down; of an empty queue its last value. Leaves `zero` as it is."""
        moment, weight = self.load()
        return self.zero + (moment // weight if weight else 0)

    def average(self) -> int:
        """Return V, which becomes the new `zero` (avg_vruntime)."""
        self.zero = self.mean()
        return self.zero

    def eligible(self, entity: Entity) -> bool:
        """Return whether `entity` has had no more than its share (vruntime_eligible)."""
        moment, weight = self.load()
        return moment >= (entity.vruntime - self.zero) * weight

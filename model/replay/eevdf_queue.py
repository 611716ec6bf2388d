"""What an EEVDF run queue is made of: tasks, groups of tasks, and the queues they are in (see `model.replay.eevdf`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from model.replay.cfs import NICE_0


@dataclass(frozen=True)
class Rules:
    """What differs between kernels and machines; nanoseconds. The defaults are those of Linux 6.12 on one CPU."""

    slice_ns: int = 700_000
    tick_ns: int = 4_000_000
    delay_dequeue: bool = True  # since 6.12
    run_to_parity: bool = True


@dataclass(eq=False)
class Entity:
    """A task, or a group of tasks (`inner` is then its own queue)."""

    queue: Queue
    weight: int = NICE_0
    tid: int = -1
    vruntime: int = 0
    deadline: int = 0
    lag: int = 0  # V - vruntime when it left
    protected: int | None = None  # the deadline it was picked with
    arrived: int = 0
    queued: bool = False  # in the competition: runnable, running, or asleep and `delayed`
    delayed: bool = False
    inner: Queue | None = None
    credited_ns: int = 0  # of a group: how much of the run time of all tasks is in its vruntime

    def chain(self) -> Iterator[Entity]:
        """This entity and the groups around it, innermost first."""
        entity: Entity | None = self
        while entity is not None:
            yield entity
            entity = entity.queue.owner


@dataclass(eq=False)
class Queue:
    """One cfs_rq: the entities of one group."""

    owner: Entity | None = None
    entities: list[Entity] = field(default_factory=list)
    running: Entity | None = None
    buddy: Entity | None = None
    zero: int = 0  # V, when it was last asked for

    def load(self) -> tuple[int, int]:
        """Sum of (vruntime - zero) * weight, and of weight."""
        zero = self.zero
        moment = weight = 0
        for entity in self.entities:
            moment += (entity.vruntime - zero) * entity.weight
            weight += entity.weight
        return moment, weight

    def mean(self) -> int:
        """V, rounded down; of an empty queue what it was when the kernel last asked."""
        moment, weight = self.load()
        return self.zero + (moment // weight if weight else 0)

    def average(self) -> int:
        """V, where the kernel asks for it."""
        self.zero = self.mean()
        return self.zero

    def eligible(self, entity: Entity) -> bool:
        """Whether `entity` has had no more than its share."""
        moment, weight = self.load()
        return moment >= (entity.vruntime - self.zero) * weight

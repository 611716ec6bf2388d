"""What an EEVDF run queue is made of: tasks, groups of tasks, and the queues they are in (see `model.replay.eevdf`)."""

from __future__ import annotations

from dataclasses import dataclass

from model.replay import entities


@dataclass(frozen=True)
class Rules:
    """What differs between kernels and machines; nanoseconds. The defaults are those of Linux 6.12 on one CPU."""

    slice_ns: int = 700_000
    tick_ns: int = 4_000_000
    delay_dequeue: bool = True  # since 6.12
    run_to_parity: bool = True


@dataclass(eq=False)
class Entity(entities.Entity):
    """A task, or a group of tasks; while it sleeps and is `delayed` it is queued nevertheless."""

    queue: Queue
    inner: Queue | None = None
    vruntime: int = 0
    deadline: int = 0
    lag: int = 0  # V - vruntime when it left
    protected: int | None = None  # the deadline it was picked with
    delayed: bool = False
    credited_ns: int = 0  # of a group: how much of the run time of all tasks is in its vruntime


@dataclass(eq=False)
class Queue(entities.Queue[Entity]):
    """The entities of one group."""

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

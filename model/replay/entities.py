"""What a run queue of the fair class is made of, whatever it picks by: tasks, groups of tasks, and their queues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

NICE_0 = 1024
# Weight of nice -20 .. 19; each step is a factor of about 1.25.
WEIGHTS = (
    *(88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916),
    *(9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277),
    *(1024, 820, 655, 526, 423, 335, 272, 215, 172, 137),
    *(110, 87, 70, 56, 45, 36, 29, 23, 18, 15),
)
Member = TypeVar("Member", bound="Entity")


def weight_of(prio: int) -> int:
    """The weight of a task of kernel priority `prio` (100 is nice -20, 139 is nice 19)."""
    return WEIGHTS[min(max(prio - 100, 0), len(WEIGHTS) - 1)]


@dataclass(eq=False)
class Queue(Generic[Member]):
    """One cfs_rq: the entities of one group."""

    owner: Member | None = None
    entities: list[Member] = field(default_factory=list)
    running: Member | None = None
    buddy: Member | None = None


@dataclass(eq=False)
class Entity:
    """One sched_entity: a task, or a group of tasks (`inner` is then its own queue)."""

    queue: Queue[Self]
    weight: int = NICE_0
    tid: int = -1
    arrived: int = 0  # breaks ties: of equals the first to queue is picked
    queued: bool = False  # in the competition, the running one included
    inner: Queue[Self] | None = None

    def chain(self) -> Iterator[Self]:
        """This entity and the groups around it, innermost first."""
        entity: Self | None = self
        while entity is not None:
            yield entity
            entity = entity.queue.owner

    def befriend(self) -> None:
        """Make it, and the groups around it, the buddies of their queues (set_next_buddy)."""
        for level in self.chain():
            level.queue.buddy = level

    def holds(self, tids: set[int]) -> bool:
        """Whether it is one of these tasks, or a group with one of them among its queued ones."""
        if self.inner is None:
            return self.tid in tids
        return any(inside.holds(tids) for inside in self.inner.entities)

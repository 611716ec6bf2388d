"""Entities and queues of the fair class, shared by CFS and EEVDF: tasks, groups of tasks, and their run queues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_RT_PRIO = 100  # kernel priorities below this are real-time; the fair class has 100 to 139
DEFAULT_PRIO = 120  # nice 0
NICE_0_LOAD = 1024
# sched_prio_to_weight: nice -20 to 19; each step is a factor of about 1.25.
WEIGHTS = (
    *(88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916),
    *(9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277),
    *(1024, 820, 655, 526, 423, 335, 272, 215, 172, 137),
    *(110, 87, 70, 56, 45, 36, 29, 23, 18, 15),
)
IDLE_WEIGHT = 3  # of a SCHED_IDLE task, whatever its nice value (WEIGHT_IDLEPRIO)
_KERNEL_THREAD = re.compile(
    r"^(kworker/|ksoftirqd/|rcu_|migration/|kswapd|kcompactd|khugepaged|kthreadd|jbd2/|hwrng|khungtaskd|kauditd"
    r"|rcu(op|ob|og|c|b)/|cpuhp/|watchdog/|idle_inject/|irq/|(scsi_(eh|tmf)_|loop|nfsd|md)\d|(xfs|dm|btrfs)-|xfsaild/"
    r"|(watchdogd|kdevtmpfs|netns|oom_reaper|writeback|crypto|kblockd|kintegrityd|kthrotld|mm_percpu_wq|ksmd|ecryptfs-kthrea"
    r"|ext4-rsv-conver|ipv6_addrconf|ata_sff|edac-poller|devfreq_wq|kpsmoused|vballoon|kstrp|charger_manager)$)"
)
Member = TypeVar("Member", bound="Entity")


def is_kernel_thread(name: str) -> bool:
    """Return whether a thread of this name is a kernel thread, and so in no control group."""
    return _KERNEL_THREAD.match(name) is not None


def weight_of(prio: int) -> int:
    """Return the weight of a task of kernel priority `prio` (100 is nice -20, 139 is nice 19)."""
    return WEIGHTS[min(max(prio - MAX_RT_PRIO, 0), len(WEIGHTS) - 1)]


@dataclass(eq=False)
class Queue(Generic[Member]):
    """A cfs_rq: the entities of one group, or of the CPU's root."""

    owner: Member | None = None  # the group's entity in the queue above
    entities: list[Member] = field(default_factory=list)  # on the queue, the running one included
    running: Member | None = None  # cfs_rq->curr
    buddy: Member | None = None  # cfs_rq->next: preferred at the next pick


@dataclass(eq=False)
class Entity:
    """A sched_entity: a task, or a group of tasks, which has a queue of its own in `my_q`."""

    queue: Queue[Self]
    weight: int = NICE_0_LOAD
    tid: int = -1
    arrival: int = 0  # breaks ties: the first to queue is picked
    queued: bool = False  # on the queue, also while it runs
    my_q: Queue[Self] | None = None

    def levels(self) -> Iterator[Self]:
        """Yield this entity and the groups around it, innermost first (for_each_sched_entity)."""
        entity: Self | None = self
        while entity is not None:
            yield entity
            entity = entity.queue.owner

    def set_next_buddy(self) -> None:
        """Make it, and the groups around it, the buddies of their queues (set_next_buddy)."""
        for level in self.levels():
            level.queue.buddy = level

    def contains(self, tids: set[int]) -> bool:
        """Return whether it is one of these tasks, or a group in which one of them is queued."""
        if self.my_q is None:
            return self.tid in tids
        return any(member.contains(tids) for member in self.my_q.entities)

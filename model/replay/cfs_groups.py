"""Which queue each task is in: as the guest's facts say or, where they are missing or wrong, as vruntimes show.

The vruntimes of the tasks of one queue are near its min_vruntime; those of two queues have nothing to do with each
other. So a task whose vruntime is far from its queue's minimum is in another queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from model.data.task_groups import GroupFacts, GuestTask
from model.replay.cfs import Cfs
from model.replay.cfs_drift import UNKNOWN_NS
from model.replay.cfs_queue import Entity, Queue
from model.replay.entities import DEFAULT_PRIO, NICE_0_LOAD, is_kernel_thread, weight_of

BEHIND_NS, AHEAD_NS = 4e6, 10e6  # a task of nice 0 is at most so far before or after the minimum of its queue
SCHED_BATCH, SCHED_IDLE = 3, 5


class TaskGroups:
    """The queues of one CPU, and the tasks in them. `known` are the guest's tasks, by tid and name."""

    def __init__(self, cfs: Cfs, known: Mapping[tuple[int, str], GuestTask]) -> None:
        self.cfs, self.known = cfs, known
        self.queues: list[Queue] = [cfs.root]
        self.names: dict[Entity, str] = {}  # of tasks, as they first appeared
        self._named: dict[str, Queue] = {}

    def create_task(self, tid: int, name: str, prio: int, parent: Queue | None) -> Entity:
        """Make the entity of a thread, in its queue: the known one, its parent's, or the usual one of such a thread."""
        facts = self.known.get((tid, name))
        queue = parent
        if facts is not None and facts.groups is not None:
            queue = self._queue_of(facts.groups)
        queue = queue if queue is not None else self._usual_queue(name)
        task = Entity(queue, weight_of(prio), tid, vruntime=queue.min_vruntime, doubt_ns=UNKNOWN_NS)
        task.never_preempts = facts is not None and facts.policy == SCHED_BATCH
        if facts is not None and facts.policy == SCHED_IDLE:
            task.become_idle()
        self.names[task] = name
        return task

    def is_kernel_thread(self, task: Entity) -> bool:
        """Return whether a task is a kernel thread, by its name."""
        return is_kernel_thread(self.names[task])

    def fits(self, task: Entity, minimum: float, began: float) -> bool:
        """Return whether a task may have begun to run at that vruntime in a queue with that min_vruntime."""
        return -BEHIND_NS <= began - minimum <= AHEAD_NS * max(1.0, NICE_0_LOAD / task.weight)

    def regroup(self, task: Entity, began: float) -> None:
        """Move a task to the queue, but its own, that its vruntime fits, or to a new one."""
        queue = self.fitting_queue(task, began)
        if queue is None:
            queue = self._new_queue(self.cfs.root)
            queue.min_vruntime, queue.known = began, True
        self.cfs.move(task, queue)

    def fitting_queue(self, task: Entity, began: float) -> Queue | None:
        """Return the queue, but its own, that a task's vruntime fits; best one with tasks of its name."""
        others = [queue for queue in self.queues if queue is not task.queue and queue.known]
        near = [queue for queue in others if self.fits(task, queue.min_vruntime, began)]
        namesakes = [queue for queue in near if self._holds(queue, self.names[task])]
        return min(namesakes or near, key=lambda queue: abs(began - queue.min_vruntime), default=None)

    def gather_in_root(self) -> None:
        """Move tasks that fit the root queue there: its minimum has become known after that of their groups."""
        root = self.cfs.root
        for task in self.names:
            owner = task.queue.owner
            below_root = task.queue.known and owner is not None and owner.queue is root
            if below_root and self.fits(task, root.min_vruntime, task.vruntime):
                self.cfs.move(task, root)

    def _usual_queue(self, name: str) -> Queue:
        """Return the root for a kernel thread, else the queue of a namesake or of most tasks, else a new one."""
        if is_kernel_thread(name):
            return self.cfs.root
        users = [task for task, other in self.names.items() if not is_kernel_thread(other)]
        namesakes = [task.queue for task in users if self.names[task] == name]
        if namesakes:
            return namesakes[-1]
        queue, size = next(iter(Counter(task.queue for task in users).most_common(1)), (None, 0))
        return queue if queue is not None and 1 < size > len(users) / 2 else self._new_queue(self.cfs.root)

    def _queue_of(self, groups: tuple[GroupFacts, ...]) -> Queue:
        queue = self.cfs.root
        for group in groups:
            if group.name not in self._named:
                weight = group.weight if group.nice is None else weight_of(DEFAULT_PRIO + group.nice)
                self._named[group.name] = self._new_queue(queue, weight)
            queue = self._named[group.name]
        return queue

    def _new_queue(self, parent: Queue, weight: int = NICE_0_LOAD) -> Queue:
        owner = Entity(parent, weight, vruntime=parent.min_vruntime, doubt_ns=UNKNOWN_NS)
        owner.my_q = Queue(owner=owner, known=False)
        self.queues.append(owner.my_q)
        return owner.my_q

    def _holds(self, queue: Queue, name: str) -> bool:
        return any(task.queue is queue and other == name for task, other in self.names.items())

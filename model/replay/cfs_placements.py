"""What the vruntime with which a task begins to run shows of the queue in which it was placed.

A sleeper is placed half a latency before its queue's min_vruntime, unless its own vruntime is greater, and both are in
its first accounted run time. So it shows the minimum of a queue of groups, whose vruntimes are not traced, and whether
the task is in that queue at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model.replay.cfs_groups import AHEAD_NS, TaskGroups
from model.replay.cfs_picks import LEAST_DOUBT_NS
from model.replay.cfs_queue import Entity, Queue

ROUNDING_NS = 1e3
EXACT_NS = 5e3  # within this a placement confirms the minimum of a queue
READING_NS = 50e3  # error of a minimum that depends on when a wakeup read the clock
ELSEWHERE_NS = 200e3  # the minimum of the queue to which a task belongs is known within this
MISPLACED_NS = 2e6  # a task further from where its queue would have placed it is in another one
NEVER_NS = 20e6  # so wrong no minimum is, once it is known
UNRELATED_NS = 1e9


@dataclass(eq=False)
class Placement:
    """A sleeper that was queued: its vruntime before, its queue's minimum, and whose vruntime that was."""

    entity: Entity
    before: float
    queue: Queue
    minimum: float
    leftmost: Entity | None
    was_running: bool  # whether that was running, so that the minimum depends on when the clock was read
    minima: Mapping[Queue, float]  # of all queues

    def was_lifted(self, began: float) -> bool:
        """Return whether the task did not begin with its own vruntime."""
        return began > self.before + ROUNDING_NS


class Placements:
    """Placements of tasks that have not run since, and what is learnt when they do.

    With several CPUs, a task that sleeps may come back from another one, with a vruntime relative to this one's queue.
    """

    def __init__(self, groups: TaskGroups, credit_ns: float, cpus: int = 1) -> None:
        self.groups, self.credit_ns, self.cpus = groups, credit_ns, cpus
        self._waiting: dict[Entity, Placement] = {}
        self._seen: set[Entity] = set()  # tasks whose vruntime is known
        self._confirmed: set[Entity] = set()  # tasks that were placed exactly where their queue's minimum says

    def add(self, task: Entity) -> None:
        """Note a task that is about to be queued, and the groups with it."""
        for level in task.levels():
            if not level.queued:
                self._waiting[level] = self._placement(level)

    def _placement(self, entity: Entity) -> Placement:
        queue = entity.queue
        queue.update_min_vruntime()
        leftmost = queue.leftmost()
        was_running = leftmost is not None and leftmost is queue.running
        minima = {other: other.min_vruntime for other in self.groups.queues if other.known}
        return Placement(entity, entity.vruntime, queue, queue.min_vruntime, leftmost, was_running, minima)

    def learn(self, task: Entity, began: float, expected: float) -> None:
        """Learn from a run time with a traced vruntime: `began` it is without that run time."""
        placement, new = self._waiting.pop(task, None), task not in self._seen
        new = new or (self.cpus > 1 and placement is not None and not self.groups.is_kernel_thread(task))
        self._seen.add(task)
        task.doubt_ns = 0.0
        if placement is not None and placement.queue is not task.queue:
            placement = None
        if not task.queue.known:
            self._learn_of_unknown_queue(task, began, placement)
        elif self.groups.is_kernel_thread(task):
            self._learn_of_kernel_thread(task, began, expected, placement, new)
        elif not self._moves(task, began, expected, placement, new) and placement is not None:
            self._learn_minimum(placement, began, new)

    def _learn_of_unknown_queue(self, task: Entity, began: float, placement: Placement | None) -> None:
        """Learn where a queue is from its first task that runs, unless the task fits a known queue."""
        kernel_thread = self.groups.is_kernel_thread(task)
        other = None if kernel_thread else self.groups.fitting_queue(task, began)
        if other is not None:
            self.groups.cfs.move(task, other)
        else:
            self._establish(task.queue, began, placement)

    def _learn_of_kernel_thread(
        self, task: Entity, began: float, expected: float, placement: Placement | None, new: bool
    ) -> None:
        """Learn from a task that is certainly in the root queue."""
        error = began - expected
        if abs(error) > UNRELATED_NS:
            self._establish(task.queue, began, placement)
        elif placement is not None and not (new and error > AHEAD_NS):
            self._learn_minimum(placement, began, new)

    def _moves(self, task: Entity, began: float, expected: float, placement: Placement | None, new: bool) -> bool:
        """Move a task that is in another queue than was thought, and return whether it was."""
        elsewhere = self._queue_that_lifted(placement, began) if placement is not None and not new else None
        if elsewhere is not None:
            self.groups.cfs.move(task, elsewhere)
        elif self._is_misplaced(task, began, expected, placement, new):
            self._confirmed.discard(task)
            self.groups.regroup(task, began)
        else:
            return False
        return True

    def _queue_that_lifted(self, placement: Placement, began: float) -> Queue | None:
        """Return the queue whose minimum explains a vruntime that the task's own queue does not explain."""
        minimum = began + self.credit_ns
        if not placement.was_lifted(began) or abs(minimum - placement.minimum) <= ELSEWHERE_NS:
            return None
        others = (queue for queue in placement.minima if queue is not placement.queue)
        return next((queue for queue in others if abs(minimum - placement.minima[queue]) < ELSEWHERE_NS), None)

    def _is_misplaced(
        self, task: Entity, began: float, expected: float, placement: Placement | None, new: bool
    ) -> bool:
        if placement is None:
            return not self.groups.fits(task, task.queue.min_vruntime, began) if new else self._is_far(began, expected)
        if new or began < placement.before - ROUNDING_NS:
            far = not self.groups.fits(task, placement.minimum, began)
        else:
            far = self._is_far(began, max(placement.before, placement.minimum - self.credit_ns))
        certain = placement.queue.confirmed and task not in self._confirmed
        return far and (certain or abs(began + self.credit_ns - placement.minimum) > NEVER_NS)

    def _is_far(self, began: float, expected: float) -> bool:
        return abs(began - expected) >= MISPLACED_NS

    def _establish(self, queue: Queue, began: float, placement: Placement | None) -> None:
        """Set the minimum of a queue of which nothing was known; what is placed relative to it moves along."""
        minimum = began + (self.credit_ns if placement is not None else 0.0)
        shift = minimum - queue.min_vruntime
        queue.min_vruntime, queue.known = minimum, True
        owners = [other.owner for other in self.groups.queues if other.owner and other.owner.queue is queue]
        for entity in [*owners, *(each for each in queue.entities if each.my_q is None and each not in self._seen)]:
            entity.vruntime += shift
        if queue is self.groups.cfs.root:
            self.groups.gather_in_root()

    def _learn_minimum(self, placement: Placement, began: float, new: bool) -> None:
        """Correct the minimum of a queue, its leftmost group, and tasks that were placed after it and have not run."""
        if placement.leftmost is None:
            return
        error = began + self.credit_ns - placement.minimum
        if new or not placement.was_lifted(began):
            error = min(error, 0.0)  # it shows only that the minimum was not greater
        elif abs(error) < EXACT_NS:
            placement.queue.confirmed = True
            self._confirmed.add(placement.entity)
        if abs(error) >= ROUNDING_NS:
            self._correct(placement, error)

    def _correct(self, placement: Placement, error: float) -> None:
        queue, leftmost = placement.queue, placement.leftmost
        queue.min_vruntime += error
        of_reading = placement.was_running and abs(error) < READING_NS
        if leftmost is not None and leftmost.my_q is not None and not of_reading:
            leftmost.correct(error, LEAST_DOUBT_NS)
        for other in self._waiting.values():
            if other.queue is queue and other.minimum == placement.minimum:
                other.minimum += error
                if other.entity is not leftmost and other.entity.queued and other.entity.vruntime > other.before:
                    other.entity.vruntime += error

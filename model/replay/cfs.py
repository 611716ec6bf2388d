"""The Completely Fair Scheduler of one CPU, as far as picking the next task goes.

The rules of kernel/sched/fair.c in Linux 5.10 and 6.1; each method names the functions that it mirrors. Times and
vruntimes are in nanoseconds.

- pick_next_entity: the leftmost entity (least vruntime, the running one included), unless the buddy of the queue is
  less than a wakeup granularity behind it.
- place_entity: a task that wakes is placed at most half a latency before the queue's min_vruntime.
- A group of tasks is one entity of the queue above it.

A task's vruntime is taken from the trace if it is there. The vruntime of a group is never traced; see
`model.replay.cfs_replay` for how it is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from model.replay import entities
from model.replay.entities import NICE_0_LOAD


@dataclass(frozen=True)
class Rules:
    """Settings that differ between kernels and machines, in nanoseconds. The defaults are those of one CPU."""

    latency_ns: float = 6e6
    wakeup_granularity_ns: float = 1e6
    forget_buddies_when_picked: bool = False  # True up to 5.13; later a buddy is cleared when it is switched to


@dataclass(eq=False)
class Entity(entities.Entity):
    """A task, or a group of tasks, with its vruntime."""

    queue: Queue
    my_q: Queue | None = None
    vruntime: float = 0.0


@dataclass(eq=False)
class Queue(entities.Queue[Entity]):
    """A cfs_rq with its min_vruntime."""

    min_vruntime: float = 0.0  # never decreases

    def update_min_vruntime(self) -> None:
        """Advance min_vruntime to the least vruntime on the queue."""
        if self.entities:
            self.min_vruntime = max(self.min_vruntime, min(entity.vruntime for entity in self.entities))


class Cfs:
    """The fair run queues of one CPU."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.root = Queue()
        self._arrivals = count(1)

    def wake(self, entity: Entity, running: Entity | None, resched: bool) -> bool:
        """Queue a task that slept (enqueue_task_fair, place_entity); return whether it preempts `running`."""
        for level in entity.levels():
            if level.queued:
                break
            level.queue.update_min_vruntime()
            level.vruntime = max(level.vruntime, level.queue.min_vruntime - self.rules.latency_ns / 2)
            self._enqueue(level)
        return resched or running is None or self._preempts(entity, running)

    def fork(self, entity: Entity, parent: Entity | None) -> None:
        """Queue a new task, one slice late (task_fork_fair, place_entity with START_DEBIT)."""
        queue = entity.queue
        queue.update_min_vruntime()
        weights = sum(other.weight for other in queue.entities) + entity.weight
        late = queue.min_vruntime + self.rules.latency_ns * NICE_0_LOAD / weights
        inherited = parent.vruntime if parent is not None and parent.queue is queue else late
        entity.vruntime = max(inherited, late)
        for level in entity.levels():
            if not level.queued:
                self._enqueue(level)

    def sleep(self, entity: Entity) -> None:
        """Remove a task; a group in which others are queued becomes a buddy (dequeue_task_fair)."""
        for level in entity.levels():
            self._dequeue(level)
            if level.queue.entities:
                if level.queue.owner is not None:
                    level.queue.owner.set_next_buddy()
                break

    def requeue(self, entity: Entity) -> None:
        """Put a preempted task behind its equals (put_prev_entity)."""
        for level in entity.levels():
            level.arrival = next(self._arrivals)

    def switch_to(self, entity: Entity | None) -> None:
        """Let `entity` run, None for a task of another class (set_next_entity, at every level)."""
        before = self._running()
        after = list(entity.levels()) if entity is not None else []
        for level in before:
            if level not in after:
                level.queue.running = None
        for level in after:
            if level not in before or self.rules.forget_buddies_when_picked:
                level.queue.buddy = None if level.queue.buddy is level else level.queue.buddy
            level.queue.running = level

    def pick(self, candidates: set[int]) -> Entity | None:
        """Pick as if only the tasks in `candidates` (tids) were queued (pick_next_task_fair)."""
        queue: Queue | None = self.root
        entity: Entity | None = None
        while queue is not None:
            entity = self._pick(queue, candidates)
            if entity is None:
                return None
            queue = entity.my_q
        return entity

    def _pick(self, queue: Queue, candidates: set[int]) -> Entity | None:
        """Pick from one queue: the leftmost, or a buddy close behind it (pick_next_entity)."""
        competing = [entity for entity in queue.entities if entity.contains(candidates)]
        if not competing:
            return None
        leftmost = min(competing, key=lambda entity: (entity.vruntime, entity is queue.running, entity.arrival))
        buddy = queue.buddy
        if buddy is not None and buddy in competing and self._compare(buddy, leftmost) < 1:
            return buddy
        return leftmost

    def _compare(self, entity: Entity, other: Entity) -> int:
        """Return 1 if `other` leads by more than a granularity, 0 if by less, -1 if not (wakeup_preempt_entity)."""
        lead = entity.vruntime - other.vruntime
        if lead <= 0:
            return -1
        return 1 if lead > self.rules.wakeup_granularity_ns * NICE_0_LOAD / other.weight else 0

    def _preempts(self, entity: Entity, running: Entity) -> bool:
        """Whether a task that woke preempts; it then becomes a buddy (check_preempt_wakeup, find_matching_se)."""
        running_in = {level.queue: level for level in running.levels()}
        for level in entity.levels():
            if level.queue in running_in:
                preempts = self._compare(running_in[level.queue], level) == 1
                if preempts:
                    level.set_next_buddy()
                return preempts
        return False

    def _enqueue(self, entity: Entity) -> None:
        entity.queued, entity.arrival = True, next(self._arrivals)
        entity.queue.entities.append(entity)

    def _dequeue(self, entity: Entity) -> None:
        """Remove an entity from its queue (dequeue_entity, clear_buddies)."""
        if entity.queued:
            entity.queue.entities.remove(entity)
        entity.queued = False
        queue = entity.queue
        queue.buddy = None if queue.buddy is entity else queue.buddy
        queue.running = None if queue.running is entity else queue.running
        queue.update_min_vruntime()

    def _running(self) -> list[Entity]:
        levels, entity = [], self.root.running
        while entity is not None:
            levels.append(entity)
            entity = entity.my_q.running if entity.my_q is not None else None
        return levels

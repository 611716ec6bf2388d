"""The Completely Fair Scheduler of one CPU, as far as picking the next task goes.

After kernel/sched/fair.c of Linux 5.10 and 6.1: a queue picks its entity of least vruntime, the running one included,
unless a buddy is less than a wakeup granularity behind it; a task that wakes is placed at most half a latency before
the queue's minimum; a group of tasks is one entity of the queue above it. Where a task's vruntime is traced, the trace
is believed. The vruntime of a group is never traced: it is advanced by what its tasks ran, and held against what is
picked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from model.replay import entities
from model.replay.entities import NICE_0


@dataclass(frozen=True)
class Rules:
    """What differs between kernels and machines; nanoseconds. The defaults are those of one CPU."""

    latency_ns: float = 6e6
    wakeup_granularity_ns: float = 1e6
    forget_buddies_when_picked: bool = False  # True up to 5.13; later a buddy is forgotten when it is switched to


@dataclass(eq=False)
class Entity(entities.Entity):
    """A task, or a group of tasks, with the time it has had."""

    queue: Queue
    inner: Queue | None = None
    vruntime: float = 0.0


@dataclass(eq=False)
class Queue(entities.Queue[Entity]):
    """The runnable entities of one group."""

    least: float = 0.0  # min_vruntime: never falls

    def advance(self) -> None:
        """Let `least` follow the runnable entities."""
        if self.entities:
            self.least = max(self.least, min(entity.vruntime for entity in self.entities))


class Cfs:
    """The runnable entities of one CPU; times and vruntimes in nanoseconds."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.root = Queue()
        self._arrivals = count(1)

    def wake(self, entity: Entity, running: Entity | None, resched: bool) -> bool:
        """Queue a task that slept. Returns whether `running` must now give way."""
        for level in entity.chain():
            if level.queued:
                break
            level.queue.advance()
            level.vruntime = max(level.vruntime, level.queue.least - self.rules.latency_ns / 2)
            self._enqueue(level)
        return resched or running is None or self._preempts(entity, running)

    def fork(self, entity: Entity, parent: Entity | None) -> None:
        """Queue a task that was just made: it starts one slice late."""
        queue = entity.queue
        queue.advance()
        weights = sum(other.weight for other in queue.entities) + entity.weight
        late = queue.least + self.rules.latency_ns * NICE_0 / weights
        own = parent.vruntime if parent is not None and parent.queue is queue else late
        entity.vruntime = max(own, late)
        for level in entity.chain():
            if not level.queued:
                self._enqueue(level)

    def sleep(self, entity: Entity) -> None:
        """Take a task off; a group that still has others to run becomes the buddy of the queue above."""
        for level in entity.chain():
            self._dequeue(level)
            if level.queue.entities:
                if level.queue.owner is not None:
                    level.queue.owner.befriend()
                break

    def requeue(self, entity: Entity) -> None:
        """Put a task that was preempted back behind its equals."""
        for level in entity.chain():
            level.arrived = next(self._arrivals)

    def switch_to(self, entity: Entity | None) -> None:
        """`entity` runs from now on; None: something that is not of this class."""
        before = self._running()
        after = list(entity.chain()) if entity is not None else []
        for level in before:
            if level not in after:
                level.queue.running = None
        for level in after:
            if level not in before or self.rules.forget_buddies_when_picked:
                level.queue.buddy = None if level.queue.buddy is level else level.queue.buddy
            level.queue.running = level

    def pick(self, candidates: set[int]) -> Entity | None:
        """The task among `candidates` (tids) that would run next."""
        queue: Queue | None = self.root
        entity: Entity | None = None
        while queue is not None:
            entity = self._pick(queue, candidates)
            if entity is None:
                return None
            queue = entity.inner
        return entity

    def _pick(self, queue: Queue, candidates: set[int]) -> Entity | None:
        viable = [entity for entity in queue.entities if entity.holds(candidates)]
        if not viable:
            return None
        first = min(viable, key=lambda entity: (entity.vruntime, entity is queue.running, entity.arrived))
        buddy = queue.buddy
        if buddy is not None and buddy in viable and self._behind(buddy, first) < 1:
            return buddy
        return first

    def _behind(self, entity: Entity, other: Entity) -> int:
        """wakeup_preempt_entity: -1 `other` is not ahead, 0 ahead by less than a granularity, 1 by more."""
        ahead = entity.vruntime - other.vruntime
        if ahead <= 0:
            return -1
        return 1 if ahead > self.rules.wakeup_granularity_ns * NICE_0 / other.weight else 0

    def _preempts(self, entity: Entity, running: Entity) -> bool:
        """Whether a task that woke takes the CPU; if so it, and the groups around it, become buddies."""
        of_running = {level.queue: level for level in running.chain()}
        for level in entity.chain():
            rival = of_running.get(level.queue)
            if rival is None:
                continue
            if self._behind(rival, level) == 1:
                level.befriend()
                return True
            break
        return False

    def _enqueue(self, entity: Entity) -> None:
        entity.queued, entity.arrived = True, next(self._arrivals)
        entity.queue.entities.append(entity)

    def _dequeue(self, entity: Entity) -> None:
        if entity.queued:
            entity.queue.entities.remove(entity)
        entity.queued = False
        queue = entity.queue
        queue.buddy = None if queue.buddy is entity else queue.buddy
        queue.running = None if queue.running is entity else queue.running
        queue.advance()

    def _running(self) -> list[Entity]:
        found, entity = [], self.root.running
        while entity is not None:
            found.append(entity)
            entity = entity.inner.running if entity.inner is not None else None
        return found

"""The Completely Fair Scheduler of one CPU, as far as picking the next task goes.

The rules of kernel/sched/fair.c in Linux 4.15, 5.10 and 6.1; each method names the functions that it mirrors. Times and
vruntimes are in nanoseconds.

- pick_next_entity: the leftmost entity (least vruntime, the running one included), unless a buddy of the queue is less
  than a wakeup granularity behind it: the next buddy before the last one.
- place_entity: a task that wakes is placed at most half a latency before the queue's min_vruntime.
- check_preempt_wakeup: a task that wakes more than a wakeup granularity ahead preempts, and is the next buddy; the
  preempted one becomes the last buddy if the queue is long (sched_nr_latency).
- check_preempt_tick: after a tick that ends a slice no task that wakes becomes a buddy.
- A group of tasks is one entity of the queue above it.

Left out: the skip buddy (sched_yield), bandwidth limits, and all that moves tasks between CPUs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from model.replay.cfs_drift import UNKNOWN_NS
from model.replay.cfs_queue import Entity, Queue, Rules
from model.replay.entities import NICE_0_LOAD

Competing = dict[Queue, list[Entity]]  # the entities of each queue that may be picked, the leftmost first


class Cfs:
    """The fair run queues of one CPU."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.root = Queue()
        self._arrivals = count(1)

    def wake(self, entity: Entity, running: Entity | None, resched: bool) -> bool:
        """Queue a task that slept (enqueue_task_fair); return whether `running` is to leave the CPU."""
        self.enqueue(entity)
        return resched or running is None or self.preempts(entity, running)

    def enqueue(self, entity: Entity, slept: bool = True) -> None:
        """Queue a task, and the groups around it that are not queued (enqueue_entity, place_entity)."""
        for level in entity.levels():
            if level.queued:
                break
            level.queue.update_min_vruntime()
            if level.doubt_ns >= UNKNOWN_NS:
                self._guess(level, slept)
            level.vruntime = max(level.vruntime, level.queue.min_vruntime - self.rules.sleeper_credit_ns)
            self._enqueue(level)

    def fork(self, entity: Entity, parent: Entity | None) -> None:
        """Queue a new task, one slice late with START_DEBIT (task_fork_fair, place_entity, sched_vslice)."""
        queue = entity.queue
        queue.update_min_vruntime()
        debit = self._slice_ns(entity) * NICE_0_LOAD / entity.weight if self.rules.start_debit else 0.0
        late = queue.min_vruntime + debit
        parent = parent if parent is not None and parent.queue is queue else None
        entity.vruntime = max(parent.vruntime, late) if parent is not None else late
        if self.rules.child_runs_first and parent is not None and parent.vruntime < entity.vruntime:
            parent.vruntime, entity.vruntime = entity.vruntime, parent.vruntime
        self._enqueue(entity)
        if queue.owner is not None:
            self.enqueue(queue.owner)

    def sleep(self, entity: Entity) -> None:
        """Remove a task; a group in which others are queued becomes a buddy (dequeue_task_fair)."""
        remaining = self._dequeue_levels(entity)
        if remaining.entities and remaining.owner is not None:
            remaining.owner.set_next_buddy()

    def move(self, task: Entity, queue: Queue) -> None:
        """Put a task into the queue to which it turned out to belong, with its vruntime.

        Mirrors no kernel function. Where that wakes the queue's group, it is where the task's former group was.
        """
        queued, running, owner, former = task.queued, task.queue.running is task, queue.owner, task.queue.owner
        if queued and owner is not None and not owner.queued and former is not None:
            owner.vruntime, owner.doubt_ns = former.vruntime, former.doubt_ns
        if queued:
            self._dequeue_levels(task)
        task.queue = queue
        for level in task.levels() if queued else ():
            if not level.queued:
                self._enqueue(level)
        if running:
            self.switch_to(task)

    def switch_to(self, entity: Entity | None) -> None:
        """Let `entity` run, None for a task of another class (put_prev_entity, set_next_entity)."""
        before = self._running()
        after = list(entity.levels()) if entity is not None else []
        for level in before:
            if level not in after:
                level.queue.running, level.arrival = None, next(self._arrivals)
        for level in after:
            if level not in before or self.rules.forget_buddies_when_picked:
                level.clear_buddies()
            if level not in before:
                level.ran_ns = 0.0
            level.queue.running = level

    def pick(self, candidates: set[int]) -> Entity | None:
        """Pick as if only the tasks in `candidates` (tids) were queued (pick_next_task_fair)."""
        return next(self.pick_order(candidates), None)

    def pick_order(self, candidates: set[int]) -> Iterator[Entity]:
        """Yield the tasks in `candidates` (tids) in the order in which they would be picked one after the other."""
        competing: Competing = {}
        self._sort(self.root, candidates, competing)
        while competing[self.root]:
            queue: Queue | None = self.root
            path: list[Entity] = []
            while queue is not None:
                path.append(self._pick(queue, competing[queue]))
                queue = path[-1].my_q
            yield path[-1]
            for entity in reversed(path):
                if entity.my_q is None or not competing[entity.my_q]:
                    competing[entity.queue].remove(entity)

    def preempts(self, entity: Entity, running: Entity) -> bool:
        """Whether a task that woke preempts; it then becomes a buddy (check_preempt_wakeup, find_matching_se)."""
        queue_is_long = len(running.queue.entities) >= self.rules.long_queue
        if self.rules.next_buddy and queue_is_long:
            entity.set_next_buddy()
        running_in = {level.queue: level for level in running.levels()}
        woken = next((level for level in entity.levels() if level.queue in running_in), None)
        if running.idle and not entity.idle:
            return True
        if woken is None or entity.never_preempts or not self.rules.wakeup_preemption:
            return False
        current = running_in[woken.queue]
        if self._compare(current, woken) != 1:
            return False
        woken.set_next_buddy()
        if self.rules.last_buddy and current.my_q is None and queue_is_long:
            current.set_last_buddy()
        return True

    def tick(self, running: Entity) -> bool:
        """Whether a tick ends the slice of the running task or of a group around it (entity_tick)."""
        return any([self._tick(level) for level in running.levels() if len(level.queue.entities) > 1])

    def _tick(self, entity: Entity) -> bool:
        """Whether it had its slice, or is a slice behind the leftmost other one (check_preempt_tick)."""
        slice_ns = self._slice_ns(entity)
        if entity.ran_ns > slice_ns:
            entity.clear_buddies()
            return True
        first = min(other.vruntime for other in entity.queue.entities if other is not entity)
        return entity.ran_ns >= self.rules.min_granularity_ns and entity.vruntime - first > slice_ns

    def _sort(self, queue: Queue, candidates: set[int], competing: Competing) -> None:
        """Put the entities of a queue that are or hold candidates into `competing`, and those of the queues below."""
        found = []
        for entity in queue.entities:
            if entity.my_q is not None:
                self._sort(entity.my_q, candidates, competing)
            if competing[entity.my_q] if entity.my_q is not None else entity.tid in candidates:
                found.append(entity)
        competing[queue] = sorted(found, key=lambda entity: (entity.vruntime, entity is queue.running, entity.arrival))

    def _pick(self, queue: Queue, ordered: list[Entity]) -> Entity:
        """Pick from the entities of a queue: the leftmost, or a buddy close behind it (pick_next_entity)."""
        for buddy in (queue.buddy, queue.last_buddy):
            if buddy is not None and buddy in ordered and self._compare(buddy, ordered[0]) < 1:
                return buddy
        return ordered[0]

    def _compare(self, entity: Entity, other: Entity) -> int:
        """Return 1 if `other` leads by more than a granularity, 0 if by less, -1 if not (wakeup_preempt_entity)."""
        lead = entity.vruntime - other.vruntime
        if lead <= 0:
            return -1
        return 1 if lead > self.rules.granularity_ns(other) else 0

    def _slice_ns(self, entity: Entity) -> float:
        """Return the entity's share of the period in which all of its queue run (sched_slice)."""
        slice_ns = self.rules.period_ns(len(entity.queue.entities) + (not entity.queued))
        for level in entity.levels():
            weights = sum([other.weight for other in level.queue.entities])
            slice_ns *= level.weight / (weights if level.queued else weights + level.weight)
        return slice_ns

    def _guess(self, entity: Entity, slept: bool) -> None:
        """Guess the vruntime of an entity of which nothing is known: long asleep if it slept, else near the minimum."""
        entity.vruntime = entity.queue.min_vruntime - (self.rules.sleeper_credit_ns if slept else 0.0)
        entity.doubt_ns = self.rules.latency_ns

    def _enqueue(self, entity: Entity) -> None:
        entity.queued, entity.arrival = True, next(self._arrivals)
        entity.queue.entities.append(entity)

    def _dequeue_levels(self, entity: Entity) -> Queue:
        """Remove a task, and the groups around it that become empty; return the last queue that lost an entity."""
        for level in entity.levels():
            self._dequeue(level)
            if level.queue.entities:
                break
        return level.queue

    def _dequeue(self, entity: Entity) -> None:
        """Remove an entity from its queue (dequeue_entity)."""
        entity.clear_buddies()
        if entity.queued:
            entity.queue.entities.remove(entity)
        entity.queued = False
        queue = entity.queue
        queue.running = None if queue.running is entity else queue.running
        queue.update_min_vruntime()

    def _running(self) -> list[Entity]:
        levels, entity = [], self.root.running
        while entity is not None:
            levels.append(entity)
            entity = entity.my_q.running if entity.my_q is not None else None
        return levels

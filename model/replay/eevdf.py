"""Earliest Eligible Virtual Deadline First on one CPU, as far as picking the next task goes.

The rules of kernel/sched/fair.c in Linux 6.12 (6.12.117 was read), by the functions that have them:

- avg_vruntime: V is the weighted mean vruntime of all queued entities, the running one included.
- vruntime_eligible: an entity may be picked if it has had no more than its share: vruntime <= V.
- pick_eevdf: the earliest deadline among the eligible is picked, among equals the first to queue; the running one
  continues while it is eligible and has the deadline with which it was picked (RUN_TO_PARITY).
- update_deadline: when vruntime reaches the deadline, the next deadline is one slice later. A slice is 0.7 ms on one
  CPU (base_slice_ns, times 1 + ilog2(CPUs)); in virtual time it is longer by 1024 / weight.
- update_entity_lag, place_entity (PLACE_LAG): an entity that leaves keeps its lag, V - vruntime, limited to
  max(2 slices, a tick). When it returns it is placed with that lag, enlarged because its return moves V. A new task
  starts with half a slice (PLACE_DEADLINE_INITIAL).
- dequeue_entity, pick_next_entity, requeue_delayed_entity (DELAY_DEQUEUE, DELAY_ZERO): an entity that sleeps while not
  eligible stays queued until it is picked, and only then leaves, with no positive lag.
- set_next_buddy, clear_buddies (PICK_BUDDY): a group in which one task sleeps and others are queued is picked again
  while it is eligible. Tasks that wake are no buddies (NEXT_BUDDY is off).
- A group of tasks is one entity of the queue above it, of weight 1024.
"""

from __future__ import annotations

from itertools import count

from model.replay.eevdf_queue import Entity, Queue, Rules
from model.replay.entities import NICE_0_LOAD


class Eevdf:
    """The fair run queues of one CPU."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.root = Queue()
        self._arrivals = count(1)

    def virtual_slice(self, entity: Entity) -> int:
        """Return a slice in the entity's virtual time (calc_delta_fair)."""
        return self.rules.slice_ns * NICE_0_LOAD // entity.weight

    def run(self, entity: Entity, ran_ns: int) -> None:
        """Add a run time at one level (update_curr, update_deadline)."""
        if ran_ns <= 0:
            return
        entity.vruntime += ran_ns * NICE_0_LOAD // entity.weight
        expired = entity.vruntime >= entity.deadline
        if expired:
            entity.deadline = entity.vruntime + self.virtual_slice(entity)
        if len(entity.queue.entities) > 1 and (expired or self._preempted_short(entity)):
            self.clear_buddies(entity)

    def wake(self, entity: Entity, new: bool = False) -> None:
        """Queue a task, and the groups around it that are not queued (enqueue_task_fair)."""
        if entity.queued:
            self._requeue_delayed(entity)
            return
        for level in entity.levels():
            if level.queued:
                self._requeue_delayed(level)
                break
            self._place(level, new)
            new = False

    def sleep(self, entity: Entity, at_once: bool = False, delayed: bool = False) -> None:
        """Remove a task, and the groups that become empty (dequeue_entities).

        `at_once` (dead or stopped tasks) skips the delay; `delayed` ends one.
        """
        for level in entity.levels():
            if not self._dequeue(level, at_once, delayed):
                break
            if level.queue.entities:
                if level.queue.owner is not None:
                    level.queue.owner.set_next_buddy()
                break
            at_once = delayed = False

    def pick(self) -> Entity | None:
        """Pick the next task, maybe the running one; delayed sleepers that are picked leave (pick_task_fair)."""
        while self.root.entities:
            queue: Queue | None = self.root
            entity: Entity | None = None
            while queue is not None:
                entity = self._pick(queue)
                if entity is None or entity.delayed:
                    break
                queue = entity.my_q
            if entity is None or not entity.delayed:
                return entity
            self.sleep(entity, delayed=True)
        return None

    def pick_order(self, candidates: set[int]) -> list[int]:
        """Return the queued tids among `candidates` in the order in which they would be picked one after the other."""
        remaining, ordered = set(candidates), []
        while remaining:
            queue: Queue | None = self.root
            best = None
            while queue is not None:
                best = self._best(queue, remaining)
                queue = best.my_q if best is not None else None
            if best is None:
                break
            ordered.append(best.tid)
            remaining.discard(best.tid)
        return ordered

    def switch(self, before: Entity | None, after: Entity | None, total_ns: int) -> None:
        """Switch tasks, None for one of another class (put_prev_entity, set_next_entity, at levels that change)."""
        old = list(before.levels()) if before is not None else []
        new = list(after.levels()) if after is not None else []
        for level in old:
            if level not in new:
                level.arrival = next(self._arrivals)
                level.queue.running = None
        for level in new:
            if level not in old:
                self.clear_buddies(level)
                level.picked_deadline, level.queue.running, level.credited_ns = level.deadline, level, total_ns

    def correct(self, picked: Entity, predicted: Entity) -> None:
        """Move two entities, in the queue they share, as little as makes the real pick right.

        Mirrors no kernel function. Vruntimes are not traced, so an error in one lag would enter all later ones.
        """
        rivals = {level.queue: level for level in predicted.levels()}
        for level in picked.levels():
            rival = rivals.get(level.queue)
            if rival is not None and rival is not level:
                if not level.queue.eligible(level):
                    _shift(level, level.queue.average() - level.vruntime)
                if rival.deadline <= level.deadline:
                    half = (level.deadline - rival.deadline) // 2 + 1
                    _shift(rival, half)
                    _shift(level, -half)
                break

    def clear_buddies(self, entity: Entity) -> None:
        """Clear the entity as buddy of its queue, then its group, up to the first other buddy (clear_buddies)."""
        for level in entity.levels():
            if level.queue.buddy is not level:
                break
            level.queue.buddy = None

    def _pick(self, queue: Queue) -> Entity | None:
        """Pick from one queue (pick_next_entity, pick_eevdf)."""
        moment, weight = queue.load()
        buddy = queue.buddy if self.rules.pick_buddy else None
        if buddy is not None and moment >= (buddy.vruntime - queue.zero) * weight:
            return buddy
        if len(queue.entities) == 1:
            return queue.entities[0]
        eligible = [entity for entity in queue.entities if moment >= (entity.vruntime - queue.zero) * weight]
        running = queue.running if queue.running in eligible else None
        if running is not None and self.rules.run_to_parity and running.picked_deadline == running.deadline:
            return running
        others = [entity for entity in eligible if entity is not running]
        best = min(others, key=lambda entity: (entity.deadline, entity.arrival), default=running)
        return running if running is not None and best is not None and running.deadline < best.deadline else best

    def _best(self, queue: Queue, candidates: set[int]) -> Entity | None:
        competing = [entity for entity in queue.entities if entity.contains(candidates)]
        if len(competing) < 2:
            return competing[0] if competing else None
        moment, weight = queue.load()

        def rank(entity: Entity) -> tuple[bool, bool, int, int]:
            ineligible = moment < (entity.vruntime - queue.zero) * weight
            buddy = self.rules.pick_buddy and entity is queue.buddy
            return ineligible, not buddy, entity.deadline, entity.arrival

        return min(competing, key=rank)

    def _place(self, entity: Entity, new: bool) -> None:
        """Place an entity by its lag, and queue it (place_entity, __enqueue_entity)."""
        queue = entity.queue
        average, lag = queue.average(), 0
        if queue.entities and not new and self.rules.place_lag:
            weight = sum(other.weight for other in queue.entities)
            lag = _divide(entity.lag * (weight + entity.weight), weight)
        entity.vruntime = average - lag
        half = new and self.rules.place_deadline_initial
        entity.deadline = entity.vruntime + self.virtual_slice(entity) // (2 if half else 1)
        entity.queued, entity.arrival = True, next(self._arrivals)
        queue.entities.append(entity)

    def _requeue_delayed(self, entity: Entity) -> None:
        """End the delay of a sleeper that wakes (requeue_delayed_entity)."""
        if entity.delayed and self.rules.delay_zero and self._lag(entity) > 0:
            entity.queue.entities.remove(entity)
            entity.lag = 0
            self._place(entity, False)
        entity.delayed = False

    def _dequeue(self, entity: Entity, at_once: bool, delayed: bool) -> bool:
        """Remove an entity, or return False if it stays, delayed (dequeue_entity, finish_delayed_dequeue_entity)."""
        self.clear_buddies(entity)
        if not (delayed or at_once) and self.rules.delay_dequeue and not entity.queue.eligible(entity):
            entity.delayed = True
            return False
        lag = self._lag(entity)
        entity.lag = min(lag, 0) if delayed and self.rules.delay_zero else lag
        entity.queue.entities.remove(entity)
        entity.queued = entity.delayed = False
        return True

    def _preempted_short(self, entity: Entity) -> bool:
        """Return whether it has another deadline than when it was picked, and is not eligible (did_preempt_short)."""
        changed = self.rules.preempt_short and entity.picked_deadline != entity.deadline
        return changed and not entity.queue.eligible(entity)

    def _lag(self, entity: Entity) -> int:
        """Return V - vruntime within its limits (entity_lag)."""
        limit = max(2 * self.rules.slice_ns, self.rules.tick_ns) * NICE_0_LOAD // entity.weight
        return max(-limit, min(limit, entity.queue.average() - entity.vruntime))


def _shift(entity: Entity, by_ns: int) -> None:
    entity.vruntime += by_ns
    entity.deadline += by_ns


def _divide(value: int, by: int) -> int:
    """Divide as C does: round towards zero."""
    return value // by if value >= 0 else -(-value // by)

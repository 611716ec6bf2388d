"""Earliest Eligible Virtual Deadline First on one CPU, as far as picking the next task goes.

The rules of kernel/sched/fair.c in Linux 6.12 (6.12.117 was read), each under the name of the function that has it:

- avg_vruntime: V is the mean vruntime of all that is queued, the running one included, weighted.
- vruntime_eligible: only what has had no more than its share may be picked: vruntime <= V.
- pick_eevdf: of those the earliest deadline, the first to queue among equals; the running one goes on if it is eligible
  and its deadline is still the one it was picked with (RUN_TO_PARITY).
- update_deadline: once vruntime has reached the deadline, the next is one slice further; a slice is 0.7 ms on one CPU
  (base_slice_ns; times 1 + ilog2(CPUs)), in virtual time longer by 1024 / weight.
- update_entity_lag, place_entity (PLACE_LAG): who leaves keeps its lag, V - vruntime, within max(2 slices, a tick), and
  comes back with it, enlarged for what coming back does to V. A new task has half a slice (PLACE_DEADLINE_INITIAL).
- dequeue_entity, pick_next_entity, requeue_delayed_entity (DELAY_DEQUEUE, DELAY_ZERO): who sleeps while it is not
  eligible stays in the competition until it is picked, and only then leaves, without a lag to its favour.
- set_next_buddy, clear_buddies (PICK_BUDDY): a group of which one task sleeps while others are ready is picked again
  while it is eligible. Tasks that wake are nobody's buddy (NEXT_BUDDY is off).
- A group of tasks is one entity of the queue above it, of weight 1024.
"""

from __future__ import annotations

from itertools import count

from model.replay.eevdf_queue import Entity, Queue, Rules
from model.replay.entities import NICE_0


class Eevdf:
    """The entities of one CPU."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.root = Queue()
        self._arrivals = count(1)

    def slice_of(self, entity: Entity) -> int:
        """A slice in the entity's virtual time."""
        return self.rules.slice_ns * NICE_0 // entity.weight

    def run(self, entity: Entity, ran_ns: int) -> None:
        """update_curr, at one level."""
        if ran_ns <= 0:
            return
        entity.vruntime += ran_ns * NICE_0 // entity.weight
        expired = entity.vruntime >= entity.deadline
        if expired:
            entity.deadline = entity.vruntime + self.slice_of(entity)
        if len(entity.queue.entities) > 1 and (expired or not self._keeps_turn(entity)):
            self.forget(entity)

    def wake(self, entity: Entity, new: bool = False) -> None:
        """enqueue_task_fair: queue a task, and the groups around it that are not queued."""
        if entity.queued:
            self._requeue(entity)
            return
        for level in entity.chain():
            if level.queued:
                self._requeue(level)
                break
            self._place(level, new)
            new = False

    def sleep(self, entity: Entity, at_once: bool = False, delayed: bool = False) -> None:
        """dequeue_entities: a task leaves, and the groups that it leaves empty.

        `at_once`: it will not compete on (it is dead, or stopped); `delayed`: it did, and now its time has come.
        """
        for level in entity.chain():
            if not self._leave(level, at_once, delayed):
                break
            if level.queue.entities:
                if level.queue.owner is not None:
                    level.queue.owner.befriend()
                break
            at_once = delayed = False

    def pick(self) -> Entity | None:
        """pick_task_fair: the task that the kernel picks, the running one included; sleepers that are due leave."""
        while self.root.entities:
            queue: Queue | None = self.root
            entity: Entity | None = None
            while queue is not None:
                entity = self._pick(queue)
                if entity is None or entity.delayed:
                    break
                queue = entity.inner
            if entity is None or not entity.delayed:
                return entity
            self.sleep(entity, delayed=True)
        return None

    def order(self, candidates: set[int]) -> list[int]:
        """The tids among `candidates` that are queued, as they would be picked if nothing else happened."""
        left, ordered = set(candidates), []
        while left:
            queue: Queue | None = self.root
            best = None
            while queue is not None:
                best = self._best(queue, left)
                queue = best.inner if best is not None else None
            if best is None:
                break
            ordered.append(best.tid)
            left.discard(best.tid)
        return ordered

    def switch(self, before: Entity | None, after: Entity | None, total_ns: int) -> None:
        """put_prev_entity and set_next_entity, at the levels that change; None: something of another class."""
        old = list(before.chain()) if before is not None else []
        new = list(after.chain()) if after is not None else []
        for level in old:
            if level not in new:
                level.arrived = next(self._arrivals)
                level.queue.running = None
        for level in new:
            if level not in old:
                self.forget(level)
                level.protected, level.queue.running, level.credited_ns = level.deadline, level, total_ns

    def learn(self, picked: Entity, said: Entity) -> None:
        """The kernel did not pick what was said: move both as little as makes the pick right, in the queue they share.

        No rule of the kernel's: vruntimes are not traced, and what an error did to one lag it does to the next.
        """
        rivals = {level.queue: level for level in said.chain()}
        for level in picked.chain():
            rival = rivals.get(level.queue)
            if rival is not None and rival is not level:
                if not level.queue.eligible(level):
                    _shift(level, level.queue.average() - level.vruntime)
                if rival.deadline <= level.deadline:
                    half = (level.deadline - rival.deadline) // 2 + 1
                    _shift(rival, half)
                    _shift(level, -half)
                break

    def forget(self, entity: Entity) -> None:
        """clear_buddies."""
        for level in entity.chain():
            if level.queue.buddy is not level:
                break
            level.queue.buddy = None

    def _pick(self, queue: Queue) -> Entity | None:
        """pick_next_entity, pick_eevdf."""
        moment, weight = queue.load()
        if queue.buddy is not None and moment >= (queue.buddy.vruntime - queue.zero) * weight:
            return queue.buddy
        if len(queue.entities) == 1:
            return queue.entities[0]
        ready = [entity for entity in queue.entities if moment >= (entity.vruntime - queue.zero) * weight]
        running = queue.running if queue.running in ready else None
        if running is not None and self.rules.run_to_parity and running.protected == running.deadline:
            return running
        waiting = [entity for entity in ready if entity is not running]
        best = min(waiting, key=lambda entity: (entity.deadline, entity.arrived), default=running)
        return running if running is not None and best is not None and running.deadline < best.deadline else best

    def _best(self, queue: Queue, candidates: set[int]) -> Entity | None:
        viable = [entity for entity in queue.entities if entity.holds(candidates)]
        if len(viable) < 2:
            return viable[0] if viable else None
        moment, weight = queue.load()

        def rank(entity: Entity) -> tuple[bool, bool, int, int]:
            late = moment < (entity.vruntime - queue.zero) * weight
            return late, entity is not queue.buddy, entity.deadline, entity.arrived

        return min(viable, key=rank)

    def _place(self, entity: Entity, new: bool) -> None:
        """place_entity, __enqueue_entity."""
        queue = entity.queue
        average, lag = queue.average(), 0
        if queue.entities and not new:
            weight = sum(other.weight for other in queue.entities)
            lag = _divided(entity.lag * (weight + entity.weight), weight)
        entity.vruntime = average - lag
        entity.deadline = entity.vruntime + self.slice_of(entity) // (2 if new else 1)
        entity.queued, entity.arrived = True, next(self._arrivals)
        queue.entities.append(entity)

    def _requeue(self, entity: Entity) -> None:
        """requeue_delayed_entity."""
        if entity.delayed and self._lag(entity) > 0:
            entity.queue.entities.remove(entity)
            entity.lag = 0
            self._place(entity, False)
        entity.delayed = False

    def _leave(self, entity: Entity, at_once: bool, delayed: bool) -> bool:
        """dequeue_entity, finish_delayed_dequeue_entity; False: it competes on."""
        self.forget(entity)
        if not (delayed or at_once) and self.rules.delay_dequeue and not entity.queue.eligible(entity):
            entity.delayed = True
            return False
        lag = self._lag(entity)
        entity.lag = min(lag, 0) if delayed else lag
        entity.queue.entities.remove(entity)
        entity.queued = entity.delayed = False
        return True

    def _lag(self, entity: Entity) -> int:
        """entity_lag."""
        limit = max(2 * self.rules.slice_ns, self.rules.tick_ns) * NICE_0 // entity.weight
        return max(-limit, min(limit, entity.queue.average() - entity.vruntime))

    def _keeps_turn(self, entity: Entity) -> bool:
        """did_preempt_short, denied."""
        return entity.protected == entity.deadline or entity.queue.eligible(entity)


def _shift(entity: Entity, by_ns: int) -> None:
    entity.vruntime += by_ns
    entity.deadline += by_ns


def _divided(value: int, by: int) -> int:
    """As C divides: towards zero."""
    return value // by if value >= 0 else -(-value // by)

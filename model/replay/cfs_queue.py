"""Tasks, groups and queues of CFS; `model.replay.cfs` has the rules. Times and vruntimes in nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from model.replay import entities
from model.replay.cfs_drift import Drift
from model.replay.entities import IDLE_WEIGHT, NICE_0_LOAD


@dataclass(frozen=True)
class Rules:
    """Settings that differ between kernels and machines. The defaults are those of one CPU."""

    latency_ns: float = 6e6
    wakeup_granularity_ns: float = 1e6
    forget_buddies_when_picked: bool = False  # True up to 5.13; later a buddy is cleared when it is switched to
    min_granularity_ns: float = 0.75e6
    nr_latency: int | None = None  # sched_nr_latency, where it does not follow from latency and granularity
    gentle_sleepers: bool = True  # GENTLE_FAIR_SLEEPERS
    start_debit: bool = True  # START_DEBIT
    next_buddy: bool = False  # NEXT_BUDDY
    last_buddy: bool = True  # LAST_BUDDY
    wakeup_preemption: bool = True  # WAKEUP_PREEMPTION
    child_runs_first: bool = False

    @property
    def sleeper_credit_ns(self) -> float:
        """How far before its queue's minimum a sleeper is placed at most."""
        return self.latency_ns / 2 if self.gentle_sleepers else self.latency_ns

    @property
    def long_queue(self) -> float:
        """The number of entities from which on a queue is long (sched_nr_latency)."""
        return self.nr_latency or -(-self.latency_ns // self.min_granularity_ns)

    def period_ns(self, entities: int) -> float:
        """Return the time in which each of so many entities runs once (__sched_period)."""
        return self.latency_ns if entities <= self.long_queue else entities * self.min_granularity_ns

    def granularity_ns(self, entity: Entity) -> float:
        """Return by how much `entity` has to lead another one to preempt it (wakeup_gran)."""
        return self.wakeup_granularity_ns * NICE_0_LOAD / entity.weight


@dataclass(eq=False)
class Entity(entities.Entity):
    """A task, or a group of tasks, with its vruntime."""

    queue: Queue
    my_q: Queue | None = None
    vruntime: float = 0.0
    ran_ns: float = 0.0  # since it was picked (sum_exec_runtime - prev_sum_exec_runtime)
    never_preempts: bool = False  # SCHED_BATCH or SCHED_IDLE
    idle: bool = False  # SCHED_IDLE
    doubt_ns: float = 0.0  # of a group: how far its vruntime may be from the truth
    drift: Drift = field(default_factory=Drift)

    def run(self, ran_ns: float) -> None:
        """Add a run time (update_curr)."""
        self.ran_ns += ran_ns
        self.drift.ran_ns += ran_ns
        self.vruntime += ran_ns * NICE_0_LOAD / self.weight

    def correct(self, by_ns: float, doubt_ns: float) -> None:
        """Correct the vruntime of a group; its weight as well, if it errs in proportion to what it ran."""
        self.vruntime += by_ns
        self.weight = self.drift.weight_after(by_ns, self.weight, self.doubt_ns)
        self.doubt_ns = doubt_ns

    def become_idle(self) -> None:
        """Make it a SCHED_IDLE task."""
        self.idle = self.never_preempts = True
        self.weight = IDLE_WEIGHT

    def set_last_buddy(self) -> None:
        """Make it, and the groups around it, the entities to go back to (set_last_buddy)."""
        for level in self.levels():
            level.queue.last_buddy = level

    def clear_buddies(self) -> None:
        """Clear it as a buddy of its queue, then its group, up to the first that is none (clear_buddies)."""
        for name in ("buddy", "last_buddy"):
            for level in self.levels():
                if getattr(level.queue, name) is not level:
                    break
                setattr(level.queue, name, None)


@dataclass(eq=False)
class Queue(entities.Queue[Entity]):
    """A cfs_rq with its min_vruntime."""

    min_vruntime: float = 0.0  # never decreases
    last_buddy: Entity | None = None  # cfs_rq->last: was preempted by a task that woke
    known: bool = True  # whether a task has shown where min_vruntime is
    confirmed: bool = False  # whether a task was placed exactly where min_vruntime says

    def update_min_vruntime(self) -> None:
        """Advance min_vruntime to the least vruntime on the queue."""
        if self.entities:
            self.min_vruntime = max(self.min_vruntime, min([entity.vruntime for entity in self.entities]))

    def leftmost(self) -> Entity | None:
        """Return the entity with the least vruntime, the running one included."""
        return min(self.entities, key=lambda entity: entity.vruntime, default=None)

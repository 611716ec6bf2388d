"""Drives the EEVDF run queues with a recording: before every switch, ranks the runnable tasks as EEVDF would pick them.

From Linux 6.8 on no vruntime is traced, so all vruntimes are computed: from run times (sched_stat_runtime comes at
every update_curr of a task), and for a group of tasks between two of them from the run queue's own clock. Groups
are not traced either: one replay runs with those that the guest listed, where it did, one with a group of all tasks,
one without, and the best one so far is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from model.data.streams import STATES, Stream
from model.data.task_groups import GroupFacts, groups_of
from model.replay.candidates import UNKNOWN_STATE
from model.replay.clock import Clock
from model.replay.eevdf import Eevdf
from model.replay.eevdf_queue import Entity, Queue, Rules
from model.replay.entities import DEFAULT_PRIO, MAX_RT_PRIO, is_kernel_thread, weight_of
from model.replay.events import FORK, RUNTIME, WAKING, Events, still_runnable, with_wakings
from model.replay.names import ThreadNames

READ_AFTER_WAKING_NS = 8_000  # usual time from the stamp of sched_waking to the reading of the clock
SAME_READING_NS = 10_000  # an accounting this near to a wakeup used the same reading of the clock
SPECIAL_STATES = tuple(STATES.index(state) for state in ("X", "Z", "T", "t", "P"))  # is_special_task_state

PROBATION_EVENTS = 2_000  # events after which the worse of the two replays is given up

Pending = list[tuple[int, int]]  # wakeups not yet replayed: stamp in ns, tid
KnownGroups = Mapping[int, Sequence[GroupFacts]]  # by tid


class GroupedOrFlatEevdf:
    """Several replays, with task groups and without; ranks by the one that was right most often on earlier events.

    After PROBATION_EVENTS events only the best one continues.
    """

    def __init__(self, stream: Stream, names: ThreadNames, rules: Rules, corrects: bool = True) -> None:
        self.stream = stream
        known = {tid: task.groups for (tid, _), task in groups_of(stream.folder).items() if task.groups is not None}
        kinds: list[tuple[bool, KnownGroups]] = [(True, {}), (False, {})]
        self.replays = [
            ReplayedEevdf(stream, names, rules, grouped, corrects, groups)
            for grouped, groups in ([(True, known)] if known else []) + kinds
        ]
        self.better = self.replays[0]

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """Yield for each event from `start` on the runnable tids, the likeliest first."""
        all_of_them, right = [replay.rankings(events, 0) for replay in self.replays], [0] * len(self.replays)
        for event in range(PROBATION_EVENTS):
            rankings = [next(replay, None) for replay in all_of_them]
            number = right.index(max(right))
            self.better, ranking = self.replays[number], rankings[number]
            if ranking is None:
                return
            if event >= start:
                yield ranking
            for number, ranking in enumerate(rankings):
                right[number] += int(ranking is not None and ranking[:1] == [int(self.stream.tid[event])])
        number = right.index(max(right))
        self.better = self.replays[number]
        for event, ranking in enumerate(all_of_them[number], PROBATION_EVENTS):
            if event >= start:
                yield ranking

    def describe(self, tid: int) -> tuple[float, ...]:
        """Return `candidates.STATE` of a runnable task in the better replay."""
        return self.better.describe(tid)


class ReplayedEevdf:
    """EEVDF on one CPU. Its state before a switch depends only on what was traced before that switch.

    `grouped`: all tasks but kernel threads are in one control group, as systemd's services are, unless `known` has the
    groups of a task, outermost first, or of its parent. `corrects`: a wrong prediction moves the entities concerned
    (`Eevdf.correct`).
    """

    def __init__(
        self,
        stream: Stream,
        names: ThreadNames,
        rules: Rules,
        grouped: bool,
        corrects: bool = True,
        known: KnownGroups | None = None,
    ) -> None:
        self.stream, self.names = stream, names
        self.eevdf = Eevdf(rules)
        group = Entity(self.eevdf.root)
        group.my_q = self.group_queue = Queue(owner=group)
        self.grouped, self.corrects, self.known = grouped, corrects, known or {}
        self.queues: dict[str, Queue] = {}  # of the groups in `known`
        self.clock = Clock()
        self.tasks: dict[int, Entity] = {}
        self.prio: dict[int, int] = {}
        self.now_ns = 0
        self.running_tid = 0
        self.predicted_tid = 0
        self.total_ns = 0  # run time of all tasks

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """Yield for each event from `start` on the runnable tids, the likeliest first."""
        pending: Pending = []
        events = with_wakings(events)
        columns = (events.time_ns, events.kind, events.tid, events.prio, events.value)
        for time_ns, kind, tid, prio, value in zip(*(column.tolist() for column in columns), strict=True):
            self.now_ns = time_ns
            if kind == RUNTIME:
                self._account_pending(pending, tid, value, time_ns)
            elif kind == WAKING:
                self.prio[tid] = prio
                pending.append((time_ns, tid))
            elif kind == FORK:
                self._wake_pending(pending)
                self._fork(tid, prio)
            else:
                self._wake_pending(pending)
                ranking = self._rank(value)
                self.predicted_tid = ranking[0] if ranking else 0
                if value >= start:
                    yield ranking
                self._switch_in(value)

    def describe(self, tid: int) -> tuple[float, ...]:
        """Return `candidates.STATE` of a runnable task before a switch."""
        task = self.tasks.get(tid)
        if task is None or not task.queued:
            return UNKNOWN_STATE
        queue, top = task.queue, list(task.levels())[-1]
        root = top.queue
        return (
            (task.vruntime - queue.mean()) / 1e3,
            (task.deadline - queue.mean()) / 1e3,
            float(queue.eligible(task)),
            (top.vruntime - root.mean()) / 1e3,
            (top.deadline - root.mean()) / 1e3,
            float(root.eligible(top)),
            float(root.buddy is top),
            float(top is not task),
            task.lag / 1e3,
        )

    def _account_pending(self, pending: Pending, tid: int, ran_ns: int, time_ns: int) -> None:
        """Replay a traced run time and the wakeups before it.

        The kernel traces a run time at a tick, at a switch, or when a task wakes, before it queues that task.
        """
        if pending and tid == self.running_tid and self._running() is not None:
            *earlier, (woken_ns, woken) = pending
            elapsed = self.clock.elapsed_ns(woken_ns, READ_AFTER_WAKING_NS)
            shift = ran_ns - elapsed if abs(ran_ns - elapsed) < SAME_READING_NS else 0
            for stamp_ns, other in earlier:
                self._wake(other, self.clock.elapsed_ns(stamp_ns, READ_AFTER_WAKING_NS) + shift)
            self._account_wakeup(woken, elapsed + shift, tid, ran_ns)
            pending.clear()
        else:
            self._wake_pending(pending)
            self._account(tid, ran_ns, with_groups=True)
        self.clock.account(time_ns, ran_ns)

    def _account_wakeup(self, woken: int, elapsed_ns: int, tid: int, ran_ns: int) -> None:
        """Account the running task and queue the one that woke, in the kernel's order."""
        running, task = self._task(tid), self._task(woken)
        if self._needs_no_wakeup(woken, task):
            self._account(tid, ran_ns, with_groups=True)
        elif task.delayed:  # requeued before anything is accounted
            self.eevdf.wake(task)
            self._account(tid, ran_ns, with_groups=task.queue is not running.queue)
        elif any(not level.queued and level.queue is running.queue for level in task.levels()):
            self._account(tid, ran_ns, with_groups=False)
            self.eevdf.wake(task)
        else:
            self._wake(woken, elapsed_ns)
            self._account(tid, ran_ns, with_groups=True)

    def _account(self, tid: int, ran_ns: int, with_groups: bool) -> None:
        """Add a run time to the task and, if `with_groups`, what its groups lack to them (update_curr)."""
        if not tid or self._is_real_time(tid):
            return
        task = self._task(tid)
        if not task.queued:
            self.eevdf.wake(task)
        self.eevdf.run(task, ran_ns)
        self.total_ns += ran_ns
        if with_groups:
            self._credit(task, 0)

    def _credit(self, running: Entity, elapsed_ns: int) -> None:
        """Advance the groups of the running task to `elapsed_ns` after the last accounting."""
        for level in list(running.levels())[1:]:
            due_ns = self.total_ns + elapsed_ns - level.credited_ns
            level.credited_ns += max(due_ns, 0)
            self.eevdf.run(level, due_ns)

    def _wake_pending(self, pending: Pending) -> None:
        for stamp_ns, tid in pending:
            self._wake(tid, self.clock.elapsed_ns(stamp_ns, READ_AFTER_WAKING_NS))
        pending.clear()

    def _wake(self, tid: int, elapsed_ns: int) -> None:
        task, running = self._task(tid), self._running()
        if self._needs_no_wakeup(tid, task):
            return
        if task.delayed:
            self.eevdf.wake(task)
        if running is not None and running.queue is not task.queue:
            self._credit(running, elapsed_ns)
        if not task.queued:
            self.eevdf.wake(task)

    def _needs_no_wakeup(self, tid: int, task: Entity) -> bool:
        return tid == self.running_tid or self._is_real_time(tid) or (task.queued and not task.delayed)

    def _fork(self, tid: int, prio: int) -> None:
        self.prio[tid] = prio
        if not self._is_real_time(tid) and not self._task(tid).queued:
            self.eevdf.wake(self._task(tid), new=True)

    def _rank(self, event: int) -> list[int]:
        """Rank the tasks as the queue would pick them; the task that is preempted comes last: it is no switch."""
        preempted = self._switch_out(event)
        runnable = self.stream.runnable(event).tolist()
        candidates = [tid for tid in runnable if tid != preempted]
        real_time = sorted((tid for tid in candidates if self._is_real_time(tid)), key=lambda tid: self.prio[tid])
        fair = {tid for tid in candidates if tid and tid not in real_time}
        for tid in fair:
            self._ensure_queued(tid)
        picked = self.eevdf.pick()
        ordered = self.eevdf.pick_order(fair)
        if picked is not None and picked.tid in fair:
            ordered = [picked.tid, *(tid for tid in ordered if tid != picked.tid)]
        ranked = real_time + ordered
        return ranked + [tid for tid in runnable if tid not in ranked]

    def _switch_out(self, event: int) -> int | None:
        """End the slice before `event`; return the tid of its task if it was preempted."""
        running = self._running()
        if not event or running is None:
            return self.running_tid if event and self.running_tid and still_runnable(self.stream, event - 1) else None
        if still_runnable(self.stream, event - 1):
            self._credit(running, 0)
            return self.running_tid
        if running.queued and not running.delayed:
            if len(running.queue.entities) == 1:  # its group leaves as well, and is advanced before
                self._credit(running, 0)
            self.eevdf.sleep(running, at_once=int(self.stream.end_state[event - 1]) in SPECIAL_STATES)
        self._credit(running, 0)
        return None

    def _ensure_queued(self, tid: int) -> None:
        task = self._task(tid)
        if not task.queued or task.delayed:
            self.eevdf.wake(task)

    def _switch_in(self, event: int) -> None:
        """Run the task that was really picked."""
        tid, before = int(self.stream.tid[event]), self._running()
        self.prio[tid] = int(self.stream.prio[event])
        after: Entity | None = None
        if tid and not self._is_real_time(tid):
            after = self._task(tid)
            after.weight = weight_of(self.prio[tid])
            self._ensure_queued(tid)
            predicted = self.tasks.get(self.predicted_tid)
            if self.corrects and predicted is not None and predicted.queued and predicted is not after:
                self.eevdf.correct(after, predicted)
        self.eevdf.switch(before, after, self.total_ns)
        self.running_tid = tid

    def _running(self) -> Entity | None:
        """Return the entity of the running task, if it is of the fair class."""
        return (
            self.tasks.get(self.running_tid) if self.running_tid and not self._is_real_time(self.running_tid) else None
        )

    def _is_real_time(self, tid: int) -> bool:
        return self.prio.get(tid, DEFAULT_PRIO) < MAX_RT_PRIO

    def _task(self, tid: int) -> Entity:
        """Return the entity of a thread, made when it is first needed."""
        task = self.tasks.get(tid)
        if task is None:
            task = self.tasks[tid] = Entity(self._queue_of(tid), weight_of(self.prio.get(tid, DEFAULT_PRIO)), tid)
        return task

    def _queue_of(self, tid: int) -> Queue:
        """Return the queue of a thread that is met for the first time; a new one begins in that of its parent."""
        if tid in self.known:
            return self._group_queue(self.known[tid])
        if not self.grouped or is_kernel_thread(self.names.name_at(tid, self.now_ns)):
            return self.eevdf.root
        parent = self._running() if self.known else None
        return parent.queue if parent is not None else self.group_queue

    def _group_queue(self, groups: Sequence[GroupFacts]) -> Queue:
        """Return the queue of the innermost of these groups."""
        queue = self.eevdf.root
        for group in groups:
            if group.name not in self.queues:
                weight = group.weight if group.nice is None else weight_of(DEFAULT_PRIO + group.nice)
                entity = Entity(queue, weight)
                entity.my_q = self.queues[group.name] = Queue(owner=entity)
            queue = self.queues[group.name]
        return queue

"""Walks a recording with the replayed scheduler at its side, and asks it before every switch who is next."""

from __future__ import annotations

from collections.abc import Iterator

from model.data.streams import Stream
from model.replay.candidates import UNSEEN
from model.replay.cfs import Cfs, Entity, Queue, Rules
from model.replay.entities import NICE_0, weight_of
from model.replay.events import FORK, RUNTIME, SWITCH, WAKEUP, Events, still_runnable
from model.replay.names import Names
from model.replay.threads import REAL_TIME, is_kernel_thread

NEAR_NS = 50e6  # tasks of one group have vruntimes this close when they run one after the other


class Walk:
    """One CPU's replay. Everything it knows at a switch was traced before that switch."""

    def __init__(self, stream: Stream, names: Names, rules: Rules) -> None:
        self.stream, self.names = stream, names
        self.cfs = Cfs(rules)
        self.tasks: dict[int, Entity] = {}
        self.prio: dict[int, int] = {}
        self.groups: list[Queue] = [self.cfs.root]
        self.now_ns = 0
        self.last = 0  # tid that runs
        self.credited = 0.0  # what the group of the running task was given ahead of being accounted
        self.accounted_ns = 0  # when the running task was last accounted
        self.resched = False

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """For each event from `start` on, the runnable tids, the likeliest first."""
        pending: list[tuple[int, int, int]] = []
        for time, kind, tid, prio, value, vruntime in zip(
            *(getattr(events, name).tolist() for name in Events.__annotations__), strict=True
        ):
            self.now_ns = time
            if kind == RUNTIME:
                self._account(tid, value, vruntime, time)
            self._wake(pending)
            if kind in (WAKEUP, FORK):
                self.prio[tid] = prio
                pending.append((time, tid, kind))
            elif kind == SWITCH:
                ranking = self._rank(value, self._leave(value))
                if value >= start:
                    yield ranking
                self._enter(value, time)

    def describe(self, tid: int) -> tuple[float, ...]:
        """What `model.replay.candidates.STATE` names, of a runnable task before a switch; CFS has no deadlines."""
        task = self.tasks.get(tid)
        if task is None or not task.queued:
            return UNSEEN
        top = list(task.chain())[-1]
        own_us = (task.vruntime - task.queue.least) / 1e3
        top_us = (top.vruntime - top.queue.least) / 1e3
        buddies = (float(task.queue.buddy is task), float(top.queue.buddy is top))
        return own_us, own_us, buddies[0], top_us, top_us, 1.0, buddies[1], float(top is not task), 0.0

    def _account(self, tid: int, runtime: int, vruntime: int, time: int) -> None:
        """A task has run: believe its vruntime, and give its groups what they were not yet given."""
        task = self._task(tid)
        spent, foreseen = runtime * NICE_0 / task.weight, task.vruntime
        task.vruntime = vruntime if vruntime >= 0 else foreseen + spent
        if vruntime >= 0 and abs(vruntime - spent - foreseen) > NEAR_NS:
            self._settle(tid, task, vruntime - spent)
        ahead = self.credited if tid == self.last else 0.0
        for level in list(task.chain())[1:]:
            level.vruntime += max(runtime - ahead, 0) * NICE_0 / level.weight
        self.credited, self.accounted_ns = 0.0, time
        for level in task.chain():
            level.queue.advance()

    def _wake(self, pending: list[tuple[int, int, int]]) -> None:
        running = self.tasks.get(self.last)
        for time, tid, kind in pending:
            task = self._task(tid)
            if task.queued or tid == self.last or self.prio.get(tid, 120) < REAL_TIME:
                continue
            if running is not None and running.queue is not task.queue:
                self._credit(running, time)
            if kind == FORK:
                task.queue = running.queue if running is not None else task.queue  # a child is in its parent's group
                self.cfs.fork(task, running)
            else:
                self.resched = self.cfs.wake(task, running, self.resched)
        pending.clear()

    def _credit(self, running: Entity, time: int) -> None:
        """The groups of the running task have run until now, though nobody has accounted it yet."""
        due = max(time - self.accounted_ns, 0)
        for level in list(running.chain())[1:]:
            level.vruntime += max(due - self.credited, 0) * NICE_0 / level.weight
        self.credited = max(due, self.credited)

    def _leave(self, event: int) -> int | None:
        """The running task's slice ends; returns its tid if it wanted to go on."""
        stream = self.stream
        prev = int(stream.tid[event - 1]) if event else 0
        if not event or stream.start_ns[event - 1] + stream.slice_ns[event - 1] != stream.start_ns[event] or not prev:
            return None
        task = self._task(prev)
        if still_runnable(stream, event - 1):
            return prev
        if task.queued:
            self.cfs.sleep(task)
        return None

    def _rank(self, event: int, prev: int | None) -> list[int]:
        """Pick, take the picked one away, pick again. A task that is switched away from is never switched to."""
        left = [int(tid) for tid in self.stream.runnable(event) if tid != prev]
        ranked = sorted(
            (tid for tid in left if self.prio.get(tid, 120) < REAL_TIME), key=lambda tid: self.prio.get(tid, 120)
        )
        fair = {tid for tid in left if tid not in ranked and tid}
        for tid in fair:
            self._ensure(tid)
        while fair:
            picked = self.cfs.pick(fair)
            if picked is None:
                break
            ranked.append(picked.tid)
            fair.discard(picked.tid)
        return ranked + [tid for tid in self.stream.runnable(event).tolist() if tid not in ranked]

    def _ensure(self, tid: int) -> None:
        task = self._task(tid)
        if not task.queued:
            self.cfs.wake(task, self.tasks.get(self.last), True)

    def _enter(self, event: int, time: int) -> None:
        """What was really picked; where a group's vruntime is proved wrong by it, it is put right."""
        tid = int(self.stream.tid[event])
        self.prio[tid] = int(self.stream.prio[event])
        previous = self.tasks.get(self.last)
        if previous is not None and previous.queued:
            self.cfs.requeue(previous)
        entity: Entity | None = None
        if tid and self.prio[tid] >= REAL_TIME:
            entity = self._task(tid)
            entity.weight = weight_of(self.prio[tid])
            self._ensure(tid)
            self._learn(entity)
        self.cfs.switch_to(entity)
        self.last, self.resched, self.credited, self.accounted_ns = tid, False, 0.0, time

    def _learn(self, picked: Entity) -> None:
        """The picked entity of the top queue was not behind the others: pull or push the groups that say it was."""
        top = list(picked.chain())[-1]
        for other in top.queue.entities:
            if other is top or other.vruntime >= top.vruntime:
                continue
            if top.inner is not None:
                top.vruntime = other.vruntime
            elif other.inner is not None:
                other.vruntime = top.vruntime

    def _task(self, tid: int) -> Entity:
        """The entity of a thread; of a new one, in the group that its kind of task is usually in."""
        task = self.tasks.get(tid)
        if task is None:
            queue = self.cfs.root if self._is_kernel(tid) else self._usual_group()
            task = self.tasks[tid] = Entity(queue, weight_of(self.prio.get(tid, 120)), tid=tid)
            task.vruntime = queue.least
        return task

    def _usual_group(self) -> Queue:
        """Where most of the tasks are that are not kernel threads."""
        queues = [task.queue for task in self.tasks.values() if not self._is_kernel(task.tid)]
        return max(self.groups, key=queues.count)

    def _is_kernel(self, tid: int) -> bool:
        return is_kernel_thread(self.names.at(tid, self.now_ns))

    def _settle(self, tid: int, task: Entity, began: float) -> None:
        """Tasks of one group begin at vruntimes of one size: move a task that was thought to be elsewhere."""
        root = self.cfs.root
        if self._is_kernel(tid):
            alike = [queue.least for queue in self.groups if queue is not root and abs(queue.least - began) < NEAR_NS]
            if alike or not root.least:
                root.least = alike[0] if alike else task.vruntime
                self._merge(root)
            return
        near = [queue for queue in self.groups if abs(queue.least - began) < NEAR_NS]
        self._move(task, near[0] if near else self._new_group(task.vruntime))

    def _merge(self, root: Queue) -> None:
        """Where vruntimes of kernel threads and of others are of one size there is no group between them."""
        for task in self.tasks.values():
            if task.queue is not root and abs(task.vruntime - root.least) < NEAR_NS:
                self._move(task, root)

    def _new_group(self, least: float) -> Queue:
        owner = Entity(self.cfs.root, vruntime=self.cfs.root.least)
        owner.inner = Queue(owner=owner, least=least)
        self.groups.append(owner.inner)
        return owner.inner

    def _move(self, task: Entity, queue: Queue) -> None:
        running, queued = task.queue.running is task, task.queued
        vruntime = task.vruntime
        if queued:
            self.cfs.sleep(task)
        task.queue = queue
        if queued:
            self.cfs.wake(task, None, True)
            task.vruntime = vruntime
        if running:
            self.cfs.switch_to(task)

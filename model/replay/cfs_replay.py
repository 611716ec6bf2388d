"""Drives the CFS run queues with a recording: before every switch, ranks the runnable tasks as CFS would pick them.

Group membership and the vruntimes of groups are not traced. A task's group is inferred from its vruntime: those of one
group are close together. A group's vruntime advances by what its tasks ran, and is corrected if a pick contradicts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from model.data.streams import Stream
from model.replay.candidates import UNKNOWN_STATE
from model.replay.cfs import Cfs, Entity, Queue, Rules
from model.replay.entities import DEFAULT_PRIO, MAX_RT_PRIO, NICE_0_LOAD, is_kernel_thread, weight_of
from model.replay.events import FORK, RUNTIME, SWITCH, WAKEUP, Events, still_runnable
from model.replay.names import ThreadNames

NEAR_NS = 50e6  # vruntimes of tasks of one group that run one after the other are at most this far apart

Pending = list[tuple[int, int, int]]  # wakeups and forks not yet replayed: time in ns, tid, kind


class ReplayedCfs:
    """CFS on one CPU. Its state before a switch depends only on what was traced before that switch."""

    def __init__(self, stream: Stream, names: ThreadNames, rules: Rules) -> None:
        self.stream, self.names = stream, names
        self.cfs = Cfs(rules)
        self.tasks: dict[int, Entity] = {}
        self.prio: dict[int, int] = {}
        self.groups: list[Queue] = [self.cfs.root]
        self.now_ns = 0
        self.running_tid = 0
        self.accounted_ns = 0  # when the running task was last accounted
        self.credited_ns = 0.0  # run time since then that its groups' vruntimes already include
        self.resched = False

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """Yield for each event from `start` on the runnable tids, the likeliest first."""
        pending: Pending = []
        columns = (getattr(events, column.name).tolist() for column in fields(Events))
        for time, kind, tid, prio, value, vruntime in zip(*columns, strict=True):
            self.now_ns = time
            if kind == RUNTIME:
                self._account(tid, value, vruntime, time)
            self._wake(pending)
            if kind in (WAKEUP, FORK):
                self.prio[tid] = prio
                pending.append((time, tid, kind))
            elif kind == SWITCH:
                ranking = self._rank(value, self._switch_out(value))
                if value >= start:
                    yield ranking
                self._switch_in(value, time)

    def describe(self, tid: int) -> tuple[float, ...]:
        """Return `candidates.STATE` of a runnable task before a switch; CFS has no deadlines and no lag."""
        task = self.tasks.get(tid)
        if task is None or not task.queued:
            return UNKNOWN_STATE
        top = list(task.levels())[-1]
        task_us = (task.vruntime - task.queue.min_vruntime) / 1e3
        top_us = (top.vruntime - top.queue.min_vruntime) / 1e3
        buddies = (float(task.queue.buddy is task), float(top.queue.buddy is top))
        return task_us, task_us, buddies[0], top_us, top_us, 1.0, buddies[1], float(top is not task), 0.0

    def _account(self, tid: int, runtime: int, vruntime: int, time: int) -> None:
        """Take a task's vruntime from the trace, and give its groups the run time they lack (update_curr)."""
        task = self._task(tid)
        ran, expected = runtime * NICE_0_LOAD / task.weight, task.vruntime
        task.vruntime = vruntime if vruntime >= 0 else expected + ran
        if vruntime >= 0 and abs(vruntime - ran - expected) > NEAR_NS:
            self._regroup(tid, task, vruntime - ran)
        credited = self.credited_ns if tid == self.running_tid else 0.0
        for level in list(task.levels())[1:]:
            level.vruntime += max(runtime - credited, 0) * NICE_0_LOAD / level.weight
        self.credited_ns, self.accounted_ns = 0.0, time
        for level in task.levels():
            level.queue.update_min_vruntime()

    def _wake(self, pending: Pending) -> None:
        running = self.tasks.get(self.running_tid)
        for time, tid, kind in pending:
            task = self._task(tid)
            if task.queued or tid == self.running_tid or self._is_real_time(tid):
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
        """Advance the groups of the running task to `time`, though its run time is accounted only later."""
        ran = max(time - self.accounted_ns, 0)
        for level in list(running.levels())[1:]:
            level.vruntime += max(ran - self.credited_ns, 0) * NICE_0_LOAD / level.weight
        self.credited_ns = max(ran, self.credited_ns)

    def _switch_out(self, event: int) -> int | None:
        """End the slice before `event`; return the tid of its task if it was preempted."""
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
        """Rank by picking, removing the picked task and picking again; `prev` comes last: it is no switch."""
        runnable = self.stream.runnable(event).tolist()
        candidates = [tid for tid in runnable if tid != prev]
        ranked = sorted((tid for tid in candidates if self._is_real_time(tid)), key=lambda tid: self.prio[tid])
        fair = {tid for tid in candidates if tid not in ranked and tid}
        for tid in fair:
            self._ensure_queued(tid)
        while fair:
            picked = self.cfs.pick(fair)
            if picked is None:
                break
            ranked.append(picked.tid)
            fair.discard(picked.tid)
        return ranked + [tid for tid in runnable if tid not in ranked]

    def _ensure_queued(self, tid: int) -> None:
        task = self._task(tid)
        if not task.queued:
            self.cfs.wake(task, self.tasks.get(self.running_tid), True)

    def _switch_in(self, event: int, time: int) -> None:
        """Run the task that was really picked, and correct the groups' vruntimes if they contradict the pick."""
        tid = int(self.stream.tid[event])
        self.prio[tid] = int(self.stream.prio[event])
        previous = self.tasks.get(self.running_tid)
        if previous is not None and previous.queued:
            self.cfs.requeue(previous)
        entity: Entity | None = None
        if tid and not self._is_real_time(tid):
            entity = self._task(tid)
            entity.weight = weight_of(self.prio[tid])
            self._ensure_queued(tid)
            self._correct_groups(entity)
        self.cfs.switch_to(entity)
        self.running_tid, self.resched, self.credited_ns, self.accounted_ns = tid, False, 0.0, time

    def _correct_groups(self, picked: Entity) -> None:
        """Correct the vruntimes of groups so that no entity of the root queue is left of the picked one."""
        top = list(picked.levels())[-1]
        for other in top.queue.entities:
            if other is top or other.vruntime >= top.vruntime:
                continue
            if top.my_q is not None:
                top.vruntime = other.vruntime
            elif other.my_q is not None:
                other.vruntime = top.vruntime

    def _task(self, tid: int) -> Entity:
        """Return a thread's entity; a new thread starts in the usual group of its kind."""
        task = self.tasks.get(tid)
        if task is None:
            queue = self.cfs.root if self._is_kernel(tid) else self._usual_group()
            task = self.tasks[tid] = Entity(queue, weight_of(self.prio.get(tid, DEFAULT_PRIO)), tid=tid)
            task.vruntime = queue.min_vruntime
        return task

    def _usual_group(self) -> Queue:
        """Return the group of most tasks that are not kernel threads."""
        queues = [task.queue for task in self.tasks.values() if not self._is_kernel(task.tid)]
        return max(self.groups, key=queues.count)

    def _is_kernel(self, tid: int) -> bool:
        return is_kernel_thread(self.names.name_at(tid, self.now_ns))

    def _is_real_time(self, tid: int) -> bool:
        return self.prio.get(tid, DEFAULT_PRIO) < MAX_RT_PRIO

    def _regroup(self, tid: int, task: Entity, began: float) -> None:
        """Move a task to the group whose min_vruntime is near the vruntime with which its slice began."""
        root = self.cfs.root
        if self._is_kernel(tid):  # certainly in the root queue: shows where the root's min_vruntime is
            near = [queue for queue in self.groups if queue is not root and abs(queue.min_vruntime - began) < NEAR_NS]
            if near or not root.min_vruntime:
                root.min_vruntime = near[0].min_vruntime if near else task.vruntime
                self._merge_into(root)
            return
        near = [queue for queue in self.groups if abs(queue.min_vruntime - began) < NEAR_NS]
        self._move(task, near[0] if near else self._new_group(task.vruntime))

    def _merge_into(self, root: Queue) -> None:
        """Move tasks with vruntimes near those of kernel threads into the root queue: they are in no group."""
        for task in self.tasks.values():
            if task.queue is not root and abs(task.vruntime - root.min_vruntime) < NEAR_NS:
                self._move(task, root)

    def _new_group(self, min_vruntime: float) -> Queue:
        owner = Entity(self.cfs.root, vruntime=self.cfs.root.min_vruntime)
        owner.my_q = Queue(owner=owner, min_vruntime=min_vruntime)
        self.groups.append(owner.my_q)
        return owner.my_q

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

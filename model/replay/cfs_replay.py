"""Drives the CFS run queues with a recording: before every switch, ranks the runnable tasks as CFS would pick them.

The vruntimes of groups are not traced. A group's vruntime advances by what its tasks ran; it is corrected where a task
is placed (`cfs_placements`), and where a pick contradicts it (`cfs_picks`). `cfs_groups` says which tasks are a group,
`cfs_drift` what its weight is, and `cfs_readings` how long the running task had run when another one woke.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from model.data.streams import Stream
from model.data.task_groups import GuestTask
from model.replay.candidates import UNKNOWN_STATE
from model.replay.cfs import Cfs
from model.replay.cfs_groups import TaskGroups
from model.replay.cfs_picks import learn_pick
from model.replay.cfs_placements import Placements
from model.replay.cfs_queue import Entity, Queue, Rules
from model.replay.cfs_readings import Readings, Wakeup
from model.replay.entities import DEFAULT_PRIO, IDLE_WEIGHT, MAX_RT_PRIO, NICE_0_LOAD, weight_of
from model.replay.events import FORK, RUNTIME, SWITCH, WAKING, WOKEN, Events, still_runnable
from model.replay.names import ThreadNames

IDLE_TOLERANCE = 1e-3  # a sleeper that is placed by chance as far ahead is rare


class ReplayedCfs:
    """CFS on one CPU. Its state before a switch depends only on what was traced before that switch.

    `known` are the guest's tasks and their groups, by tid and name; `cpus` is the number of CPUs of the machine.
    """

    def __init__(
        self,
        stream: Stream,
        names: ThreadNames,
        rules: Rules,
        known: Mapping[tuple[int, str], GuestTask] | None = None,
        cpus: int = 1,
    ) -> None:
        self.stream, self.names = stream, names
        self.cfs = Cfs(rules)
        self.cfs.root.known = False
        self.groups = TaskGroups(self.cfs, known or {})
        self.placements = Placements(self.groups, rules.sleeper_credit_ns, cpus)
        self.readings = Readings()
        self.tasks: dict[int, Entity] = {}
        self.prio: dict[int, int] = {}
        self.now_ns = 0
        self.running_tid = self.predicted_tid = 0
        self.credited_ns = 0.0  # run time since the last accounting that the running task's groups already have
        self.resched = False  # whether the running task is to leave (need_resched)
        self.unexplained = False  # whether the last event was a run time that no wakeup has explained: maybe a tick

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """Yield for each event from `start` on the runnable tids, the likeliest first."""
        columns = (getattr(events, column.name).tolist() for column in fields(Events))
        for time, kind, tid, prio, value, vruntime in zip(*columns, strict=True):
            self.now_ns = time
            if kind == SWITCH:
                self._wake_all(self.readings.take())
                ranking = self._rank(value, self._switch_out(value))
                if value >= start:
                    yield ranking
                self._switch_in(value)
                continue
            self._settle_tick(kind, tid)
            if kind == RUNTIME:
                self._runtime(tid, value, vruntime)
            else:
                self.prio[tid] = prio
                self._woken(tid, kind)

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

    def _woken(self, tid: int, kind: int) -> None:
        """Replay a fork at once, a wakeup with the next event, which may show when it read the clock."""
        if kind != FORK:
            self.readings.add(self.now_ns, tid, kind)
            return
        self._wake_all(self.readings.take())
        self._fork(tid)

    def _runtime(self, tid: int, ran_ns: int, vruntime: int) -> None:
        """Replay a run time, and the wakeups before it.

        sched_waking comes before the task is queued, and before the run time that is accounted where it is queued;
        sched_wakeup after both.
        """
        running, wakeups, leaves = self._running(), self.readings.take(), self.resched
        if tid != self.running_tid or running is None:
            self._wake_all(wakeups)
            self._account(tid, ran_ns, vruntime)
            return
        late = [each for each in wakeups if each.kind == WAKING and self._shares_queue(each.tid)]
        self._wake_all([each for each in wakeups if each not in late])
        if wakeups and wakeups[-1].kind == WOKEN and self.resched and not leaves:
            self.readings.learn(wakeups[-1], ran_ns)
        self._account(tid, ran_ns, vruntime)
        self._wake_all([Wakeup(each.tid, each.kind, 0.0) for each in late])
        self.unexplained = not late and running.queued

    def _settle_tick(self, kind: int, tid: int) -> None:
        """Decide at the next event whether a run time was that of a tick.

        The kernel accounts a run time at a switch, at a fork, and where a task is queued in the running task's queue;
        what is left are ticks, and tasks that read their own run time.
        """
        unexplained, self.unexplained = self.unexplained, False
        running = self._running()
        if unexplained and running is not None and kind != FORK and not (kind == WOKEN and self._shares_queue(tid)):
            self.resched = self.cfs.tick(running) or self.resched

    def _shares_queue(self, tid: int) -> bool:
        """Return whether queueing a task accounts a run time of the running one, whose queue it enters."""
        running = self._running()
        levels = self._task(tid).levels()
        return running is not None and any(level.queue is running.queue and not level.queued for level in levels)

    def _account(self, tid: int, ran_ns: int, vruntime: int) -> None:
        """Take a task's vruntime from the trace, and give its groups the run time they lack (update_curr)."""
        task = self._task(tid)
        expected = task.vruntime
        if runs_as_idle(vruntime - expected, ran_ns):
            task.become_idle()
        own_ns = ran_ns * NICE_0_LOAD / task.weight
        task.run(ran_ns)
        if vruntime >= 0:
            task.vruntime = vruntime
            self.placements.learn(task, vruntime - own_ns, expected)
        self.readings.clock.account(self.now_ns, ran_ns)
        for level in list(task.levels())[1:]:
            level.run(ran_ns - (self.credited_ns if tid == self.running_tid else 0.0))
        self.credited_ns = 0.0
        for level in task.levels():
            level.queue.update_min_vruntime()

    def _wake_all(self, wakeups: list[Wakeup]) -> None:
        for wakeup in wakeups:
            self._wake(wakeup)

    def _wake(self, wakeup: Wakeup) -> None:
        """Queue a task, and decide whether it preempts (ttwu_do_activate, check_preempt_curr)."""
        running, task = self._running(), self._task(wakeup.tid)
        if self._is_real_time(wakeup.tid):
            self.resched = self.resched or not self._is_real_time(self.running_tid)
        elif not task.queued and wakeup.tid != self.running_tid:
            if running is not None and running.queue is not task.queue:
                self._credit(running, wakeup.ran_ns)
            self.placements.add(task)
            self.resched = self.cfs.wake(task, running, self.resched)

    def _fork(self, tid: int) -> None:
        """Queue a new task; its tid may have been another one's before."""
        running = self._running()
        if not self._is_real_time(tid):
            self.tasks.pop(tid, None)
            self.cfs.fork(self._task(tid, running.queue if running is not None else None), running)

    def _credit(self, running: Entity, ran_ns: float) -> None:
        """Advance the groups of the running task to `ran_ns` after the last accounting, though none is traced yet."""
        for level in list(running.levels())[1:]:
            level.run(max(ran_ns - self.credited_ns, 0.0))
        self.credited_ns = max(ran_ns, self.credited_ns)

    def _switch_out(self, event: int) -> int | None:
        """End the slice before `event`; return the tid of its task if it was preempted.

        A kernel that shifts states shows some sleepers as preempted; the list of runnable tasks does not have them.
        """
        stream = self.stream
        prev = int(stream.tid[event - 1]) if event else 0
        if not event or stream.start_ns[event - 1] + stream.slice_ns[event - 1] != stream.start_ns[event] or not prev:
            return None
        if still_runnable(stream, event - 1) and prev in stream.runnable(event):
            return prev
        task = self._task(prev)
        if task.queued:
            self.cfs.sleep(task)
        return None

    def _rank(self, event: int, prev: int | None) -> list[int]:
        """Rank by picking, removing the picked task and picking again; `prev` comes last: it is no switch."""
        runnable = self.stream.runnable(event).tolist()
        candidates = [tid for tid in runnable if tid != prev]
        ranked = sorted((tid for tid in candidates if self._is_real_time(tid)), key=lambda tid: self.prio[tid])
        fair = {tid for tid in candidates if tid and tid not in ranked}
        for tid in fair:
            self._ensure_queued(tid)
        ranked += [entity.tid for entity in self.cfs.pick_order(fair)]
        self.predicted_tid = ranked[0] if ranked else 0
        return ranked + [tid for tid in runnable if tid not in ranked]

    def _ensure_queued(self, tid: int) -> None:
        """Queue a task that is runnable though no wakeup of it is in the recording."""
        task = self._task(tid)
        if not task.queued:
            self.placements.add(task)
            self.cfs.enqueue(task, slept=False)

    def _switch_in(self, event: int) -> None:
        """Run the task that was really picked, and learn from it if another one was predicted."""
        tid = int(self.stream.tid[event])
        self.prio[tid] = int(self.stream.prio[event])
        entity: Entity | None = None
        if tid and not self._is_real_time(tid):
            entity = self._task(tid)
            entity.weight = entity.weight if entity.idle else weight_of(self.prio[tid])
            self._ensure_queued(tid)
            predicted = self.tasks.get(self.predicted_tid)
            if predicted is not None and predicted is not entity and predicted.queued:
                learn_pick(entity, predicted, self.cfs.rules)
        if self._running() is None:
            self.readings.clock.resume(self.now_ns)
        self.cfs.switch_to(entity)
        self.running_tid, self.credited_ns, self.resched, self.unexplained = tid, 0.0, False, False

    def _running(self) -> Entity | None:
        """Return the entity of the running task, if it is of the fair class."""
        fair = self.running_tid and not self._is_real_time(self.running_tid)
        return self.tasks.get(self.running_tid) if fair else None

    def _task(self, tid: int, parent: Queue | None = None) -> Entity:
        """Return a thread's entity, made when it is first needed; `parent` is the queue of the task that forks it."""
        if tid not in self.tasks:
            name, prio = self.names.name_at(tid, self.now_ns), self.prio.get(tid, DEFAULT_PRIO)
            self.tasks[tid] = self.groups.create_task(tid, name, prio, parent)
        return self.tasks[tid]

    def _is_real_time(self, tid: int) -> bool:
        return self.prio.get(tid, DEFAULT_PRIO) < MAX_RT_PRIO


def runs_as_idle(advanced_ns: float, ran_ns: int) -> bool:
    """Return whether a vruntime advanced as that of a SCHED_IDLE task, whose traced priority is that of nice 0."""
    expected_ns = ran_ns * NICE_0_LOAD / IDLE_WEIGHT
    return abs(advanced_ns - expected_ns) < IDLE_TOLERANCE * expected_ns

"""Walks a recording with the replayed EEVDF queue at its side, and asks it before every switch who is next.

From Linux 6.8 on no vruntime is traced, so all of it is counted: run times are (`sched_stat_runtime` comes at every
update_curr of a task), and what a group of tasks gets between two of them is read off the run queue's own clock.
Which tasks are in a group is not traced either: both is tried, and what does better at first is believed.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.data.streams import STATES, Stream
from model.replay.candidates import UNSEEN
from model.replay.clock import Clock
from model.replay.eevdf import Eevdf
from model.replay.eevdf_queue import Entity, Queue, Rules
from model.replay.entities import weight_of
from model.replay.events import FORK, RUNTIME, WAKEUP, Events, still_runnable
from model.replay.names import Names
from model.replay.threads import REAL_TIME, is_kernel_thread

WAKE_DELAY_NS = 8_000  # from the stamp of sched_waking to the reading of the clock, at a usual stamp
SAME_READING_NS = 10_000  # an accounting this near to a wakeup used the clock as the wakeup read it
_FOR_GOOD = tuple(STATES.index(state) for state in ("X", "Z", "T", "t", "P"))  # is_special_task_state

PROBATION = 2_000  # events after which the worse of two walks is given up

Pending = list[tuple[int, int]]  # wakeups whose effect is not settled: stamp, tid


class EevdfWalks:
    """The replay with the group and without: what was right more often so far is asked.

    So no event is foreseen from its own outcome. After PROBATION events only the better one goes on.
    """

    def __init__(self, stream: Stream, names: Names, rules: Rules, corrects: bool = True) -> None:
        self.stream = stream
        self.walks = [EevdfWalk(stream, names, rules, grouped, corrects) for grouped in (True, False)]
        self.asked = self.walks[0]

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """For each event from `start` on, the runnable tids, the likeliest first."""
        walking, right = [walk.rankings(events, 0) for walk in self.walks], [0, 0]
        for event in range(PROBATION):
            said = [next(walk, None) for walk in walking]
            number = int(right[1] > right[0])
            self.asked, best = self.walks[number], said[number]
            if best is None:
                return
            if event >= start:
                yield best
            for number, ranking in enumerate(said):
                right[number] += int(ranking is not None and ranking[:1] == [int(self.stream.tid[event])])
        number = int(right[1] > right[0])
        self.asked = self.walks[number]
        for event, ranking in enumerate(walking[number], PROBATION):
            if event >= start:
                yield ranking

    def describe(self, tid: int) -> tuple[float, ...]:
        """What the walk that is asked says of a runnable task."""
        return self.asked.describe(tid)


class EevdfWalk:
    """One CPU's replay. `grouped`: whatever is no kernel thread is in one control group, as systemd's services are.

    `corrects`: a pick that was not foreseen puts the tasks concerned right (`Eevdf.learn`).
    """

    def __init__(self, stream: Stream, names: Names, rules: Rules, grouped: bool, corrects: bool = True) -> None:
        self.stream, self.names = stream, names
        self.eevdf = Eevdf(rules)
        self.group = Entity(self.eevdf.root)
        self.group.inner = Queue(owner=self.group)
        self.grouped, self.corrects = grouped, corrects
        self.clock = Clock()
        self.tasks: dict[int, Entity] = {}
        self.prio: dict[int, int] = {}
        self.now_ns = 0
        self.last = 0  # tid that runs
        self.said = 0  # tid that was thought to be next
        self.total_ns = 0  # run time of all tasks

    def rankings(self, events: Events, start: int) -> Iterator[list[int]]:
        """For each event from `start` on, the runnable tids, the likeliest first."""
        pending: Pending = []
        columns = (events.time_ns, events.kind, events.tid, events.prio, events.value)
        for time_ns, kind, tid, prio, value in zip(*(column.tolist() for column in columns), strict=True):
            self.now_ns = time_ns
            if kind == RUNTIME:
                self._accounted(pending, tid, value, time_ns)
            elif kind == WAKEUP:
                self.prio[tid] = prio
                pending.append((time_ns, tid))
            elif kind == FORK:
                self._flush(pending)
                self._fork(tid, prio)
            else:
                self._flush(pending)
                ranking = self._rank(value)
                self.said = ranking[0] if ranking else 0
                if value >= start:
                    yield ranking
                self._enter(value)

    def describe(self, tid: int) -> tuple[float, ...]:
        """What `model.replay.candidates.STATE` names, of a runnable task before a switch."""
        task = self.tasks.get(tid)
        if task is None or not task.queued:
            return UNSEEN
        own, top = task.queue, list(task.chain())[-1]
        root = top.queue
        return (
            (task.vruntime - own.mean()) / 1e3,
            (task.deadline - own.mean()) / 1e3,
            float(own.eligible(task)),
            (top.vruntime - root.mean()) / 1e3,
            (top.deadline - root.mean()) / 1e3,
            float(root.eligible(top)),
            float(root.buddy is top),
            float(top is not task),
            task.lag / 1e3,
        )

    def _accounted(self, pending: Pending, tid: int, ran_ns: int, time_ns: int) -> None:
        """A run time was traced: at a tick, at a switch, or for a task that wakes, before it is queued."""
        if pending and tid == self.last and self._running() is not None:
            *earlier, (woken_ns, woken) = pending
            gained = self.clock.since_ns(woken_ns, WAKE_DELAY_NS)
            shift = ran_ns - gained if abs(ran_ns - gained) < SAME_READING_NS else 0
            for stamp_ns, other in earlier:
                self._wake(other, self.clock.since_ns(stamp_ns, WAKE_DELAY_NS) + shift)
            self._account_wake(woken, gained + shift, tid, ran_ns)
            pending.clear()
        else:
            self._flush(pending)
            self._account(tid, ran_ns, whole=True)
        self.clock.account(time_ns, ran_ns)

    def _account_wake(self, woken: int, gained_ns: int, tid: int, ran_ns: int) -> None:
        running, task = self._task(tid), self._task(woken)
        if self._is_awake(woken, task):
            self._account(tid, ran_ns, whole=True)
        elif task.delayed:  # put back before anything is accounted
            self.eevdf.wake(task)
            self._account(tid, ran_ns, whole=task.queue is not running.queue)
        elif any(not level.queued and level.queue is running.queue for level in task.chain()):
            self._account(tid, ran_ns, whole=False)
            self.eevdf.wake(task)
        else:
            self._wake(woken, gained_ns)
            self._account(tid, ran_ns, whole=True)

    def _account(self, tid: int, ran_ns: int, whole: bool) -> None:
        """Give the task what it ran, and if `whole` the groups around it what they were not yet given."""
        if not tid or self.prio.get(tid, 120) < REAL_TIME:
            return
        task = self._task(tid)
        if not task.queued:
            self.eevdf.wake(task)
        self.eevdf.run(task, ran_ns)
        self.total_ns += ran_ns
        if whole:
            self._credit(task, 0)

    def _credit(self, running: Entity, gained_ns: int) -> None:
        """Bring the groups of the running task up to `gained_ns` after the last accounting."""
        for level in list(running.chain())[1:]:
            due_ns = self.total_ns + gained_ns - level.credited_ns
            level.credited_ns += max(due_ns, 0)
            self.eevdf.run(level, due_ns)

    def _flush(self, pending: Pending) -> None:
        for stamp_ns, tid in pending:
            self._wake(tid, self.clock.since_ns(stamp_ns, WAKE_DELAY_NS))
        pending.clear()

    def _wake(self, tid: int, gained_ns: int) -> None:
        task, running = self._task(tid), self._running()
        if self._is_awake(tid, task):
            return
        if task.delayed:
            self.eevdf.wake(task)
        if running is not None and running.queue is not task.queue:
            self._credit(running, gained_ns)
        if not task.queued:
            self.eevdf.wake(task)

    def _is_awake(self, tid: int, task: Entity) -> bool:
        return tid == self.last or self.prio.get(tid, 120) < REAL_TIME or (task.queued and not task.delayed)

    def _fork(self, tid: int, prio: int) -> None:
        self.prio[tid] = prio
        if prio >= REAL_TIME and not self._task(tid).queued:
            self.eevdf.wake(self._task(tid), new=True)

    def _rank(self, event: int) -> list[int]:
        """Let the running task go, let the queue pick. A task that is switched away from is never switched to."""
        stays = self._leave(event)
        runnable = self.stream.runnable(event).tolist()
        left = [tid for tid in runnable if tid != stays]
        urgent = [tid for tid in left if self.prio.get(tid, 120) < REAL_TIME]
        urgent.sort(key=lambda tid: self.prio[tid])
        fair = {tid for tid in left if tid and tid not in urgent}
        for tid in fair:
            self._ensure(tid)
        picked = self.eevdf.pick()
        ordered = self.eevdf.order(fair)
        if picked is not None and picked.tid in fair:
            ordered = [picked.tid, *(tid for tid in ordered if tid != picked.tid)]
        ranked = urgent + ordered
        return ranked + [tid for tid in runnable if tid not in ranked]

    def _leave(self, event: int) -> int | None:
        """The running task's slice ends; returns its tid if it wanted to go on."""
        running = self._running()
        if not event or running is None:
            return self.last if event and self.last and still_runnable(self.stream, event - 1) else None
        if still_runnable(self.stream, event - 1):
            self._credit(running, 0)
            return self.last
        if running.queued and not running.delayed:
            alone = len(running.queue.entities) == 1
            if alone:  # its group leaves as well, and is brought up to date before
                self._credit(running, 0)
            self.eevdf.sleep(running, at_once=int(self.stream.end_state[event - 1]) in _FOR_GOOD)
        self._credit(running, 0)
        return None

    def _ensure(self, tid: int) -> None:
        task = self._task(tid)
        if not task.queued or task.delayed:
            self.eevdf.wake(task)

    def _enter(self, event: int) -> None:
        """What was really picked."""
        tid, before = int(self.stream.tid[event]), self._running()
        self.prio[tid] = int(self.stream.prio[event])
        after: Entity | None = None
        if tid and self.prio[tid] >= REAL_TIME:
            after = self._task(tid)
            after.weight = weight_of(self.prio[tid])
            self._ensure(tid)
            said = self.tasks.get(self.said)
            if self.corrects and said is not None and said.queued and said is not after:
                self.eevdf.learn(after, said)
        self.eevdf.switch(before, after, self.total_ns)
        self.last = tid

    def _running(self) -> Entity | None:
        """The entity of the task that runs, if it is of the fair class."""
        return self.tasks.get(self.last) if self.last and self.prio.get(self.last, 120) >= REAL_TIME else None

    def _task(self, tid: int) -> Entity:
        task = self.tasks.get(tid)
        if task is None:
            inner = self.group.inner
            apart = self.grouped and inner is not None and not is_kernel_thread(self.names.at(tid, self.now_ns))
            queue = inner if apart and inner is not None else self.eevdf.root
            task = self.tasks[tid] = Entity(queue, weight_of(self.prio.get(tid, 120)), tid)
        return task

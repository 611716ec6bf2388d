"""What the replay of CFS learns of groups: from placements, from picks, and of their weights."""

from __future__ import annotations

import pytest

from model.data.task_groups import GroupFacts, GuestTask
from model.replay.cfs import Cfs
from model.replay.cfs_drift import MIN_CORRECTIONS, UNKNOWN_NS, Drift
from model.replay.cfs_groups import TaskGroups
from model.replay.cfs_picks import learn_pick
from model.replay.cfs_placements import Placements
from model.replay.cfs_queue import Entity, Queue, Rules

MS = 1e6


class Guest:
    """Queues at 100 ms, of groups with one busy task each, and what is learnt of them."""

    def __init__(self, known: dict[tuple[int, str], GuestTask] | None = None, cpus: int = 1) -> None:
        self.cfs = Cfs(Rules())
        self.cfs.root.min_vruntime = 100 * MS
        self.groups = TaskGroups(self.cfs, known or {})
        self.placements = Placements(self.groups, Rules().sleeper_credit_ns, cpus)

    def task(self, tid: int, name: str, own_ms: float, group_ms: float | None = None) -> Entity:
        """A queued task that ran before, in the root queue or in a new group."""
        task = self.groups.create_task(tid, name, 120, self.cfs.root)
        if group_ms is not None:
            owner = Entity(self.cfs.root, vruntime=group_ms * MS, doubt_ns=UNKNOWN_NS / 2)
            owner.my_q = task.queue = Queue(owner=owner, min_vruntime=own_ms * MS)
            self.groups.queues.append(owner.my_q)
        task.vruntime = own_ms * MS
        self.cfs.enqueue(task, slept=False)
        task.vruntime = own_ms * MS
        self.placements.learn(task, task.vruntime, task.vruntime)
        return task

    def sleep_and_wake(self, task: Entity) -> None:
        self.cfs.sleep(task)
        self.placements.add(task)
        self.cfs.enqueue(task)


def test_a_placed_kernel_thread_shows_where_the_leftmost_group_is() -> None:
    guest = Guest()
    busy, thread = guest.task(5, "ab", 7000, group_ms=100), guest.task(7, "ksoftirqd/0", 80)
    guest.sleep_and_wake(thread)
    assert thread.vruntime == 97 * MS
    guest.placements.learn(thread, 96.5 * MS, thread.vruntime)
    assert guest.cfs.root.min_vruntime == 99.5 * MS
    assert busy.queue.owner is not None
    assert busy.queue.owner.vruntime == 99.5 * MS


def test_what_was_placed_by_the_same_minimum_moves_along() -> None:
    guest = Guest()
    guest.task(5, "ab", 7000, group_ms=100)
    first, second = guest.task(7, "ksoftirqd/0", 80), guest.task(8, "rcu_sched", 80)
    guest.cfs.sleep(first)
    guest.cfs.sleep(second)
    for thread in (first, second):
        guest.placements.add(thread)
        guest.cfs.enqueue(thread)
    guest.placements.learn(first, 96.5 * MS, first.vruntime)
    assert second.vruntime == 96.5 * MS
    minimum = guest.cfs.root.min_vruntime
    guest.placements.learn(second, 96.5 * MS, second.vruntime)
    assert guest.cfs.root.min_vruntime == minimum  # one error is corrected once


def test_a_thread_that_was_not_lifted_shows_only_that_the_minimum_was_not_greater() -> None:
    guest = Guest()
    guest.task(5, "ab", 7000, group_ms=100)
    thread = guest.task(7, "ksoftirqd/0", 99)
    guest.sleep_and_wake(thread)
    guest.placements.learn(thread, 99 * MS, thread.vruntime)
    assert guest.cfs.root.min_vruntime == 100 * MS


@pytest.mark.parametrize(("began_ms", "moves"), [(7005, False), (7300, True)])
def test_a_new_task_far_from_its_queue_is_in_another_one(began_ms: float, moves: bool) -> None:
    guest = Guest()
    busy = guest.task(5, "nginx", 7000, group_ms=100)
    task = guest.groups.create_task(6, "ab", 120, busy.queue)
    guest.cfs.enqueue(task, slept=False)
    guest.placements.learn(task, began_ms * MS, task.vruntime)
    assert (task.queue is not busy.queue) is moves


def test_a_new_task_joins_the_queue_that_its_vruntime_fits() -> None:
    guest = Guest()
    busy = guest.task(5, "nginx", 7000, group_ms=100)
    task = guest.groups.create_task(6, "ab", 120, None)
    assert task.queue is not busy.queue
    guest.cfs.enqueue(task)
    task.vruntime = 7001 * MS
    guest.placements.learn(task, 7001 * MS, 0.0)
    assert task.queue is busy.queue


def test_a_task_that_another_queue_lifted_belongs_there() -> None:
    guest = Guest()
    guest.task(5, "nginx", 7000, group_ms=100)
    lonely = guest.task(6, "ab", 6990, group_ms=100)
    guest.sleep_and_wake(lonely)
    lonely.vruntime = 6997 * MS
    guest.placements.learn(lonely, 6997 * MS, 6990 * MS)
    assert lonely.queue is guest.groups.queues[1]


@pytest.mark.parametrize(("cpus", "moves"), [(1, True), (2, False)])
def test_a_task_may_come_back_from_another_cpu_with_another_vruntime(cpus: int, moves: bool) -> None:
    guest = Guest(cpus=cpus)
    busy = guest.task(5, "nginx", 7000, group_ms=100)
    other = guest.groups.create_task(6, "ab", 120, busy.queue)
    guest.cfs.enqueue(other, slept=False)
    guest.placements.learn(other, 7000 * MS, 7000 * MS)
    guest.sleep_and_wake(other)
    busy.queue.confirmed = True
    other.vruntime = 7006 * MS
    guest.placements.learn(other, 7006 * MS, 7000 * MS)
    assert (other.queue is not busy.queue) is moves


def test_a_kernel_thread_stays_in_the_root_queue_however_far_it_is() -> None:
    guest = Guest()
    thread = guest.task(7, "ksoftirqd/0", 99)
    guest.sleep_and_wake(thread)
    guest.placements.learn(thread, 5000 * MS, thread.vruntime)
    assert thread.queue is guest.cfs.root


def test_known_groups_are_nested_with_their_weights_and_policies() -> None:
    slices = (GroupFacts("/system.slice", 2048), GroupFacts("/system.slice/x", 512))
    known = {(5, "nginx"): GuestTask(slices, policy=3), (6, "ab"): GuestTask((GroupFacts("/autogroup-7", nice=5),))}
    guest = Guest(known)
    task, other = (guest.groups.create_task(tid, name, 120, None) for tid, name in known)
    assert [level.weight for level in task.levels()] == [1024, 512, 2048]
    assert [level.weight for level in other.levels()] == [1024, 335]
    assert (task.never_preempts, other.never_preempts) == (True, False)


def two_groups(*vruntimes_and_doubts: tuple[float, float]) -> list[Entity]:
    """Two groups in a queue, each with its vruntime in ms and its doubt in ns."""
    root = Queue()
    entities = [Entity(root, vruntime=ms * MS, doubt_ns=doubt_ns) for ms, doubt_ns in vruntimes_and_doubts]
    for entity in entities:
        entity.my_q = Queue(owner=entity)
        root.entities.append(entity)
    return entities


def test_the_more_doubtful_of_two_that_contradict_a_pick_moves_more() -> None:
    picked, rival = two_groups((11, 30e3), (10, 10e3))
    learn_pick(picked, rival, Rules())
    assert picked.vruntime == rival.vruntime == 10.25 * MS


def test_a_buddy_that_is_picked_has_to_be_within_the_granularity_only() -> None:
    picked, rival = two_groups((11.2, 0), (10, 10e3))
    picked.set_next_buddy()
    learn_pick(picked, rival, Rules())
    assert rival.vruntime == pytest.approx(10.2 * MS)


def test_a_buddy_that_is_not_picked_is_none() -> None:
    picked, rival = two_groups((10, 0), (10.5, 0))
    rival.set_next_buddy()
    learn_pick(picked, rival, Rules())
    assert picked.queue.buddy is None


@pytest.mark.parametrize(("true_weight", "found"), [(256, 256), (2048, 2048), (700, 700), (1024, 1024)])
def test_corrections_that_keep_up_with_the_run_time_show_the_weight_of_a_group(true_weight: int, found: int) -> None:
    drift, weight = Drift(), 1024
    for _ in range(100):
        drift.ran_ns += 1 * MS
        weight = drift.weight_after((1024 / true_weight - 1) * MS, weight, 0.0)
        if weight != 1024:
            break
    assert abs(weight - found) <= 1


def test_one_jump_and_a_few_corrections_show_no_weight() -> None:
    drift = Drift()
    drift.ran_ns = 100 * MS
    assert drift.weight_after(170 * MS, 1024, 0.0) == 1024
    drift.ran_ns = 100 * MS
    assert {drift.weight_after(19 * MS, 1024, 0.0) for _ in range(MIN_CORRECTIONS - 1)} == {1024}
    assert drift.weight_after(19 * MS, 1024, 0.0) < 1024

from __future__ import annotations

import pytest

from model.replay.cfs import Cfs
from model.replay.cfs_drift import UNKNOWN_NS
from model.replay.cfs_queue import Entity, Queue, Rules
from model.replay.cfs_replay import runs_as_idle
from model.replay.entities import is_kernel_thread, weight_of

MS = 1e6


def queue_of(*vruntimes_ms: float) -> tuple[Cfs, list[Entity]]:
    """A flat run queue with one queued task for each vruntime."""
    cfs = Cfs(Rules())
    tasks = []
    for number, vruntime in enumerate(vruntimes_ms):
        task = Entity(cfs.root, vruntime=vruntime * MS, tid=number + 1)
        cfs.root.min_vruntime = min(cfs.root.min_vruntime, task.vruntime)
        cfs.wake(task, None, True)
        tasks.append(task)
    return cfs, tasks


def picked(cfs: Cfs, *tids: int) -> int:
    entity = cfs.pick(set(tids))
    assert entity is not None
    return entity.tid


def test_the_least_vruntime_is_picked() -> None:
    cfs, _ = queue_of(9, 7, 8)
    assert picked(cfs, 1, 2, 3) == 2
    assert picked(cfs, 1, 3) == 3


def test_among_equals_the_first_to_queue_is_picked() -> None:
    cfs, tasks = queue_of(7, 7)
    assert picked(cfs, 1, 2) == 1
    cfs.switch_to(tasks[0])
    cfs.switch_to(None)  # a task that was preempted queues again
    assert picked(cfs, 1, 2) == 2


def test_a_sleeper_is_placed_half_a_latency_before_the_minimum() -> None:
    cfs, (busy, sleeper) = queue_of(5, 5)
    cfs.sleep(sleeper)
    busy.vruntime = 100 * MS
    cfs.wake(sleeper, busy, False)
    assert sleeper.vruntime == (100 - 3) * MS


def test_a_short_sleep_earns_no_credit() -> None:
    cfs, (busy, sleeper) = queue_of(5, 5)
    cfs.sleep(sleeper)
    sleeper.vruntime, busy.vruntime = 99 * MS, 100 * MS
    cfs.wake(sleeper, busy, False)
    assert sleeper.vruntime == 99 * MS


def test_a_task_that_wakes_preempts_only_beyond_the_wakeup_granularity() -> None:
    for lead_ms, expected in ((0.9, False), (1.1, True)):
        cfs, (running, woken) = queue_of(10, 10)
        cfs.sleep(woken)
        cfs.switch_to(running)
        woken.vruntime = (10 - lead_ms) * MS
        assert cfs.wake(woken, running, False) is expected


def test_a_task_that_preempted_is_picked_before_one_that_is_ahead_by_less_than_the_granularity() -> None:
    cfs, (running, first, second) = queue_of(50, 10, 10)
    for task in (first, second):
        cfs.sleep(task)
    cfs.switch_to(running)
    resched = cfs.wake(first, running, False)
    second.vruntime = first.vruntime - 0.5 * MS  # ahead, but by less than the granularity
    cfs._enqueue(second)
    assert resched
    assert picked(cfs, 2, 3) == 2


def test_a_new_task_starts_one_slice_late() -> None:
    cfs, (parent,) = queue_of(10)
    child = Entity(cfs.root, tid=9)
    cfs.fork(child, parent)
    assert child.vruntime == (10 + 6 / 2) * MS


def test_a_group_is_one_entity_of_the_queue_above() -> None:
    cfs, (alone,) = queue_of(10)
    group = Entity(cfs.root, vruntime=9 * MS)
    group.my_q = Queue(owner=group, min_vruntime=500 * MS)
    members = [Entity(group.my_q, vruntime=(500 + late) * MS, tid=20 + late) for late in range(2)]
    for member in members:
        cfs.wake(member, None, True)
    assert picked(cfs, 1, 20, 21) == 20
    group.vruntime = 12 * MS
    assert picked(cfs, 1, 20, 21) == alone.tid


def test_a_group_with_more_to_run_is_the_buddy_when_one_of_its_tasks_sleeps() -> None:
    cfs, _ = queue_of(10)
    group = Entity(cfs.root, vruntime=10.5 * MS)
    group.my_q = Queue(owner=group)
    first, second = (Entity(group.my_q, tid=tid) for tid in (20, 21))
    for member in (first, second):
        cfs.wake(member, None, True)
    assert picked(cfs, 1, 20, 21) == 1
    cfs.switch_to(first)
    cfs.sleep(first)
    assert picked(cfs, 1, 21) == 21


@pytest.mark.parametrize(("prio", "weight"), [(100, 88761), (120, 1024), (139, 15), (0, 88761)])
def test_weights_follow_the_nice_value(prio: int, weight: int) -> None:
    assert weight_of(prio) == weight


def group_of(cfs: Cfs, vruntime_ms: float, *members_ms: float) -> list[Entity]:
    """The queued tasks of a group in the root queue; their tids begin at 20."""
    owner = Entity(cfs.root, vruntime=vruntime_ms * MS)
    owner.my_q = Queue(owner=owner, min_vruntime=min(members_ms) * MS)
    members = [Entity(owner.my_q, vruntime=ms * MS, tid=20 + number) for number, ms in enumerate(members_ms)]
    for member in members:
        cfs.enqueue(member)
    return members


def test_the_granularity_is_shorter_for_a_task_of_more_weight() -> None:
    for weight, expected in ((1024, False), (2048, True)):
        cfs, (running, woken) = queue_of(10, 10)
        cfs.sleep(woken)
        cfs.switch_to(running)
        woken.weight, woken.vruntime = weight, 9.4 * MS
        assert cfs.wake(woken, running, False) is expected


def test_a_batch_task_never_preempts() -> None:
    cfs, (running, woken) = queue_of(20, 10)
    cfs.sleep(woken)
    cfs.switch_to(running)
    woken.never_preempts = True
    assert not cfs.wake(woken, running, False)
    assert cfs.root.buddy is None


def test_an_idle_task_preempts_none_and_is_preempted_by_any_other() -> None:
    cfs, (running, woken) = queue_of(20, 10)
    for task in (woken, running):
        cfs.sleep(woken)
        cfs.switch_to(running)
        task.become_idle()
        assert cfs.wake(woken, running, False) is False
    cfs.sleep(woken)
    woken.idle = woken.never_preempts = False
    woken.vruntime = 30 * MS
    assert cfs.wake(woken, running, False)
    assert cfs.root.buddy is None


@pytest.mark.parametrize(
    ("advanced_ns", "idle"), [(341_333_333, True), (1_000_000, False), (300e6, False), (-5, False)]
)
def test_an_idle_task_is_known_by_how_fast_its_vruntime_advances(advanced_ns: float, idle: bool) -> None:
    assert runs_as_idle(advanced_ns, 1_000_000) is idle


def test_no_task_becomes_a_buddy_once_the_running_one_is_to_leave() -> None:
    cfs, (running, woken) = queue_of(20, 10)
    cfs.sleep(woken)
    cfs.switch_to(running)
    assert cfs.wake(woken, running, True)
    assert cfs.root.buddy is None


@pytest.mark.parametrize(("entities", "remembered"), [(7, False), (8, True)])
def test_a_preempted_task_is_the_last_buddy_where_the_queue_is_long(entities: int, remembered: bool) -> None:
    cfs, (running, woken, *_) = queue_of(20, 10, *[20.5] * (entities - 2))
    cfs.sleep(woken)
    cfs.switch_to(running)
    cfs.wake(woken, running, False)
    assert (cfs.root.last_buddy is running) is remembered


def test_the_next_buddy_is_picked_before_the_last_one_and_that_before_the_leftmost() -> None:
    cfs, (leftmost, last, following) = queue_of(10, 10.5, 10.8)
    last.set_last_buddy()
    following.set_next_buddy()
    order = [entity.tid for entity in cfs.pick_order({1, 2, 3})]
    assert order == [following.tid, last.tid, leftmost.tid]


def test_a_buddy_further_behind_than_the_granularity_is_not_picked() -> None:
    cfs, (_, buddy) = queue_of(10, 11.1)
    buddy.set_next_buddy()
    buddy.set_last_buddy()
    assert picked(cfs, 1, 2) == 1


def test_tasks_of_groups_are_ordered_as_if_each_pick_left_the_queue() -> None:
    cfs, _ = queue_of(10)
    group_of(cfs, 9, 500, 501)
    assert [entity.tid for entity in cfs.pick_order({1, 20, 21})] == [20, 21, 1]
    assert [entity.tid for entity in cfs.pick_order({1, 21})] == [21, 1]


@pytest.mark.parametrize(
    ("ran_ms", "others_ms", "ends"), [(3.1, 12, True), (2.9, 12, False), (0.8, 5, True), (0.7, 5, False)]
)
def test_a_tick_ends_a_slice_or_lets_a_task_pass_that_is_a_slice_ahead(
    ran_ms: float, others_ms: float, ends: bool
) -> None:
    cfs, (running, _) = queue_of(9, others_ms)
    cfs.switch_to(running)
    running.run(ran_ms * MS)
    assert cfs.tick(running) is ends


def test_a_tick_that_ends_a_slice_clears_the_running_task_as_buddy() -> None:
    cfs, (running, _) = queue_of(9, 12)
    cfs.switch_to(running)
    running.set_next_buddy()
    running.run(4 * MS)
    cfs.tick(running)
    assert cfs.root.buddy is None


def test_a_new_task_in_a_group_gets_its_share_of_the_share_of_the_group() -> None:
    cfs, _ = queue_of(10)
    (member,) = group_of(cfs, 10, 500)
    child = Entity(member.queue, tid=9)
    cfs.fork(child, member)
    assert child.vruntime == (500 + 6 / 2 / 2) * MS


def test_many_tasks_lengthen_the_period_in_which_each_runs_once() -> None:
    assert Rules().period_ns(8) == 6 * MS
    assert Rules().period_ns(10) == 7.5 * MS


def test_a_task_of_which_nothing_is_known_is_placed_as_one_that_slept_long() -> None:
    for slept, vruntime_ms in ((True, 7), (False, 10)):
        cfs, _ = queue_of(10)
        unknown = Entity(cfs.root, vruntime=77 * MS, doubt_ns=UNKNOWN_NS)
        cfs.enqueue(unknown, slept)
        assert unknown.vruntime == vruntime_ms * MS


def test_a_task_that_moves_takes_its_vruntime_along_and_its_former_group_places_the_new_one() -> None:
    cfs, _ = queue_of(10)
    (task,) = group_of(cfs, 9, 500)
    cfs.switch_to(task)
    owner = Entity(cfs.root)
    owner.my_q = Queue(owner=owner)
    cfs.move(task, owner.my_q)
    assert (task.queue, task.vruntime, owner.vruntime, owner.queued) == (owner.my_q, 500 * MS, 9 * MS, True)
    assert cfs.root.running is owner
    assert owner.my_q.running is task
    assert picked(cfs, 1, 20) == 20


@pytest.mark.parametrize(
    "name", ["kworker/0:1H", "rcu_sched", "rcuop/3", "cpuhp/0", "loop0", "ext4-rsv-conver", "irq/9-acpi"]
)
def test_kernel_threads_are_known_by_name(name: str) -> None:
    assert is_kernel_thread(name)


@pytest.mark.parametrize("name", ["nginx", "crypto-miner", "loop", "mdadm", "netns-agent", "watchdog", "rcub"])
def test_other_threads_are_not(name: str) -> None:
    assert not is_kernel_thread(name)

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from locations import DATA
from replayed import contested_hits, copy_until, copy_without_run_times, stream_of, whole_order

from model.data.streams import Segment
from model.errors import TableError
from model.predictors.scheduling_policy import EevdfReplay, Fifo
from model.replay import kernel
from model.replay.clock import JUMP_NS, RECENT, Clock
from model.replay.eevdf import Eevdf
from model.replay.eevdf_queue import Entity, Queue, Rules

US, MS = 1_000, 1_000_000
SLICE = Rules().slice_ns
GUEST = DATA / "eevdf_6_12"  # 5 s of nginx and ab on one CPU, Debian 13, kernel 6.12
GROUPS = DATA / "eevdf_6_12_groups"  # 4 s of nginx, ab and three busy loops, each of the three in an autogroup; 0.7 ms


def queue_of(*vruntimes_us: int, rules: Rules | None = None) -> tuple[Eevdf, list[Entity]]:
    """A flat run queue with one queued task for each vruntime, each with a whole slice to go."""
    eevdf, tasks = Eevdf(rules or Rules()), []
    for number in range(len(vruntimes_us)):
        task = Entity(eevdf.root, tid=number + 1)
        eevdf.wake(task)
        tasks.append(task)
    for task, vruntime in zip(tasks, vruntimes_us, strict=True):
        task.vruntime = vruntime * US
        task.deadline = task.vruntime + SLICE
    return eevdf, tasks


def picked(eevdf: Eevdf) -> int:
    entity = eevdf.pick()
    assert entity is not None
    return entity.tid


def test_the_earliest_deadline_among_the_eligible_is_picked() -> None:
    eevdf, tasks = queue_of(0, 100, 500)
    tasks[0].deadline = 900 * US  # eligible, but later than that of the second, which is eligible too
    assert picked(eevdf) == 2


def test_a_task_that_had_more_than_its_share_is_not_picked_whatever_its_deadline() -> None:
    eevdf, tasks = queue_of(0, 400)
    tasks[1].deadline = 1 * US
    assert picked(eevdf) == 1


def test_the_average_is_weighted() -> None:
    eevdf, (light, heavy) = queue_of(0, 300)
    heavy.weight = 2 * light.weight
    assert eevdf.root.average() == 200 * US
    assert not eevdf.root.eligible(heavy)


def test_among_equal_deadlines_the_first_to_queue_is_picked() -> None:
    eevdf, tasks = queue_of(5, 5)
    assert picked(eevdf) == 1
    eevdf.switch(tasks[0], tasks[1], 0)
    eevdf.switch(tasks[1], None, 0)
    assert picked(eevdf) == 1


def test_the_running_task_continues_until_its_slice_or_its_share_is_used_up() -> None:
    eevdf, (running, other) = queue_of(0, 200)
    eevdf.switch(None, running, 0)
    other.deadline = 1 * US
    other.vruntime = 0
    assert picked(eevdf) == running.tid  # though the other one has the earlier deadline
    eevdf.run(running, 100 * US)
    assert picked(eevdf) == other.tid


def test_a_task_that_reaches_its_deadline_gets_the_next_slice() -> None:
    eevdf, (task,) = queue_of(0)
    eevdf.run(task, 699 * US)
    assert task.deadline == SLICE
    eevdf.run(task, 2 * US)
    assert task.deadline == 701 * US + SLICE


def test_a_task_returns_with_the_lag_it_left_with() -> None:
    eevdf, (busy, sleeper) = queue_of(300, 100)
    eevdf.sleep(sleeper)
    assert sleeper.lag == 100 * US
    eevdf.run(busy, 5 * MS)
    eevdf.wake(sleeper)
    assert eevdf.root.average() - sleeper.vruntime == 100 * US


def test_a_lag_is_at_most_a_tick() -> None:
    eevdf, (_, sleeper) = queue_of(100_000, 0)
    eevdf.sleep(sleeper)
    assert sleeper.lag == 4 * MS


def test_a_task_that_sleeps_while_not_eligible_stays_queued_and_leaves_without_positive_lag() -> None:
    eevdf, (busy, sleeper) = queue_of(0, 200)
    eevdf.sleep(sleeper)
    assert sleeper.delayed
    assert sleeper.queued
    eevdf.run(busy, 2 * MS)
    assert picked(eevdf) == busy.tid
    assert not sleeper.queued
    assert sleeper.lag == 0


def test_a_dead_task_leaves_at_once_and_so_does_every_task_before_linux_6_12() -> None:
    eevdf, (_, dead) = queue_of(0, 200)
    eevdf.sleep(dead, at_once=True)
    assert not dead.queued
    eevdf, (_, sleeper) = queue_of(0, 200, rules=Rules(delay_dequeue=False))
    eevdf.sleep(sleeper)
    assert not sleeper.queued
    assert sleeper.lag == -100 * US


def test_a_delayed_sleeper_that_wakes_late_is_placed_at_the_average() -> None:
    eevdf, (busy, sleeper) = queue_of(0, 200)
    eevdf.sleep(sleeper)
    eevdf.run(busy, 2 * MS)
    eevdf.wake(sleeper)
    assert not sleeper.delayed
    assert sleeper.vruntime == busy.vruntime


def test_a_new_task_starts_with_half_a_slice() -> None:
    eevdf, _ = queue_of(0)
    child = Entity(eevdf.root, tid=9)
    eevdf.wake(child, new=True)
    assert child.deadline - child.vruntime == SLICE // 2


def grouped() -> tuple[Eevdf, Entity, Entity, list[Entity]]:
    """A task beside a group of two."""
    eevdf, (alone,) = queue_of(0)
    group = Entity(eevdf.root)
    group.my_q = Queue(owner=group)
    members = [Entity(group.my_q, tid=20 + number) for number in range(2)]
    for member in members:
        eevdf.wake(member)
    return eevdf, alone, group, members


def test_a_group_is_one_entity_and_stays_the_buddy_when_one_of_its_tasks_sleeps() -> None:
    eevdf, alone, group, members = grouped()
    alone.deadline = group.deadline - 1
    assert picked(eevdf) == alone.tid
    eevdf.sleep(members[0])
    assert eevdf.root.buddy is group
    assert picked(eevdf) == members[1].tid
    group.vruntime += 100 * US
    assert picked(eevdf) == alone.tid  # a buddy that is not eligible is not picked


def test_an_order_of_candidates_leaves_out_sleeping_tasks() -> None:
    eevdf, alone, group, members = grouped()
    alone.deadline = group.deadline + 1
    assert eevdf.pick_order({alone.tid, *(member.tid for member in members)}) == [20, 21, alone.tid]
    assert eevdf.pick_order({alone.tid, 21}) == [21, alone.tid]
    assert eevdf.pick_order({77}) == []


def test_a_correction_after_a_wrong_prediction_makes_the_real_pick_right() -> None:
    eevdf, (predicted, real) = queue_of(0, 400)
    assert picked(eevdf) == predicted.tid
    eevdf.correct(real, predicted)
    assert picked(eevdf) == real.tid


def test_the_clock_adds_up_run_times_and_starts_anew_after_a_jump() -> None:
    clock = Clock()
    for step in range(1, 101):
        clock.account(stamp_ns=step * MS + 3 * US + (step % 7) * US, runtime_ns=MS)
    assert clock.elapsed_ns(101 * MS, 0) == pytest.approx(MS, abs=10 * US)
    for step in range(101, 101 + RECENT + 20):
        clock.account(stamp_ns=step * MS + 2 * JUMP_NS, runtime_ns=MS)
    assert clock.elapsed_ns(162 * MS + 2 * JUMP_NS, 0) == pytest.approx(2 * MS, abs=10 * US)


@cache
def guest_order(**settings: float | bool) -> list[list[int]]:
    """The order of the replay with these settings on the whole recording."""
    return whole_order(EevdfReplay(**settings), GUEST)  # type: ignore[arg-type]


def guest_hits(**settings: float | bool) -> np.ndarray:
    """(contested,) bool: whether that order was right."""
    return contested_hits(guest_order(**settings), stream_of(GUEST))


def test_the_replay_predicts_a_real_scheduler() -> None:
    hits = guest_hits()
    assert len(hits) > 2500
    assert hits.mean() > 0.975
    assert contested_hits(whole_order(Fifo(), GUEST), stream_of(GUEST)).mean() < 0.75


def test_the_rules_alone_predict_nearly_as_much() -> None:
    assert 0.95 < guest_hits(corrects=False).mean() < guest_hits().mean()


def test_other_rules_predict_less() -> None:
    assert guest_hits(base_slice_ms=0.1).mean() < guest_hits().mean()
    assert guest_hits(delay_dequeue=False).mean() < 0.9


@pytest.mark.parametrize("end", [1500, 2600])  # while two groupings are tried, and after
def test_the_replay_uses_nothing_of_the_future(tmp_path: Path, end: int) -> None:
    cut = stream_of(copy_until(GUEST, tmp_path, int(stream_of(GUEST).start_ns[end - 1])))
    assert EevdfReplay().order(Segment(cut, 0, end)) == guest_order()[:end]


def test_a_later_part_is_ordered_as_in_the_whole() -> None:
    stream = stream_of(GUEST)
    for start, stop in ((10, 40), (1990, 2030), (3000, 3030)):
        assert EevdfReplay().order(Segment(stream, start, stop)) == guest_order()[start:stop]


def test_a_recording_without_run_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"runtimes\.parquet: no such table"):
        whole_order(EevdfReplay(), copy_without_run_times(GUEST, tmp_path))


def with_kernel(folder: Path, release: str, **scheduler: str) -> Path:
    """The folder, with a guest.json that names the kernel and what it says of its scheduler."""
    names = {"slice_ns": "/sys/kernel/debug/sched/base_slice_ns", "features": "/sys/kernel/debug/sched/features"}
    facts = {"kernel": release, "scheduler": {names[name]: value for name, value in scheduler.items()}}
    (folder / "guest.json").write_text(json.dumps({"facts": facts}))
    return folder


def test_the_rules_are_those_of_the_recordings_kernel(tmp_path: Path) -> None:
    assert kernel.eevdf_rules(tmp_path) == Rules()
    folder = with_kernel(
        tmp_path, "6.12.1-amd64", slice_ns="2800000", features="PLACE_LAG NO_DELAY_DEQUEUE NO_RUN_TO_PARITY"
    )
    assert kernel.eevdf_rules(folder) == Rules(2_800_000, delay_dequeue=False, run_to_parity=False)
    assert kernel.eevdf_rules(folder, slice_ns=5, delay_dequeue=True).slice_ns == 5
    assert not kernel.eevdf_rules(with_kernel(tmp_path, "6.8.0")).delay_dequeue


@pytest.mark.parametrize(("release", "expected"), [("6.6.1", True), ("6.5.0-1-amd64", False), ("5.10.0", False)])
def test_the_release_decides_which_scheduler_a_kernel_has(tmp_path: Path, release: str, expected: bool) -> None:
    for path in GUEST.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with_kernel(tmp_path, release)
    assert kernel.is_eevdf(tmp_path) is expected


def test_an_unknown_kernel_is_recognised_by_whether_it_traces_vruntime(tmp_path: Path) -> None:
    assert kernel.is_eevdf(GUEST)
    assert not kernel.is_eevdf(DATA / "cfs_6_1")
    (tmp_path / "guest.json").write_text("no json")
    assert kernel.release(tmp_path) is None


def test_the_groups_and_the_slice_that_the_guest_had_are_those_of_the_replay(tmp_path: Path) -> None:
    for table in GROUPS.glob("*.parquet"):
        (tmp_path / table.name).symlink_to(table)
    stream = stream_of(GROUPS)
    right = contested_hits(whole_order(EevdfReplay(), GROUPS), stream).mean()
    other_slice = contested_hits(whole_order(EevdfReplay(base_slice_ms=2.8), GROUPS), stream).mean()
    one_group = contested_hits(whole_order(EevdfReplay(), tmp_path), stream).mean()
    assert right > 0.9
    assert other_slice < right - 0.1
    assert one_group < right - 0.4

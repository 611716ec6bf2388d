from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from locations import DATA

from model.data import streams
from model.errors import StreamError, TableError
from model.predictors.scheduling_policy import CfsReplay, Fifo
from model.replay.cfs import Cfs, Entity, Queue, Rules
from model.replay.entities import weight_of

MS = 1e6
GUEST = DATA / "cfs_6_1"  # 4 s of nginx and ab on one CPU, Debian 12, kernel 6.1: kernel threads, the rest in a group
OLDER = DATA / "cfs_5_10"  # the same on Debian 11, kernel 5.10: one queue for all


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


def test_of_equals_the_first_to_queue_is_picked() -> None:
    cfs, tasks = queue_of(7, 7)
    assert picked(cfs, 1, 2) == 1
    cfs.requeue(tasks[0])
    assert picked(cfs, 1, 2) == 2


def test_a_sleeper_is_placed_half_a_latency_before_the_minimum() -> None:
    cfs, (busy, sleeper) = queue_of(5, 5)
    cfs.sleep(sleeper)
    busy.vruntime = 100 * MS
    cfs.wake(sleeper, busy, False)
    assert sleeper.vruntime == (100 - 3) * MS


def test_a_short_nap_earns_nothing() -> None:
    cfs, (busy, sleeper) = queue_of(5, 5)
    cfs.sleep(sleeper)
    sleeper.vruntime, busy.vruntime = 99 * MS, 100 * MS
    cfs.wake(sleeper, busy, False)
    assert sleeper.vruntime == 99 * MS


def test_a_waker_preempts_only_beyond_the_wakeup_granularity() -> None:
    for behind_ms, expected in ((0.9, False), (1.1, True)):
        cfs, (running, waker) = queue_of(10, 10)
        cfs.sleep(waker)
        cfs.switch_to(running)
        waker.vruntime = (10 - behind_ms) * MS
        assert cfs.wake(waker, running, False) is expected


def test_the_one_that_preempted_is_picked_over_an_equal_that_came_later() -> None:
    cfs, (running, first, second) = queue_of(50, 10, 10)
    for task in (first, second):
        cfs.sleep(task)
    cfs.switch_to(running)
    resched = cfs.wake(first, running, False)
    second.vruntime = first.vruntime - 0.5 * MS  # ahead, but by less than the granularity
    cfs._enqueue(second)
    assert resched
    assert picked(cfs, 2, 3) == 2


def test_a_new_task_starts_a_slice_late() -> None:
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


def share_right(predictor: CfsReplay | Fifo, folder: Path) -> tuple[float, int]:
    """Of the contested switches of a recording, the share whose task came first, and how many there are."""
    stream = streams.load([folder]).train[0].stream
    order = predictor.order(streams.Segment(stream, 0, len(stream)))
    right = np.array([each[0] == tid for each, tid in zip(order, stream.tid, strict=True)])
    return float(right[stream.contested].mean()), int(stream.contested.sum())


def test_the_replay_foresees_a_real_scheduler() -> None:
    share, contested = share_right(CfsReplay(), GUEST)
    assert contested > 2500
    assert share > 0.99
    assert share_right(Fifo(), GUEST)[0] < 0.7


def test_the_replay_foresees_an_older_kernel_whose_tasks_are_in_one_queue() -> None:
    share, contested = share_right(CfsReplay(forget_buddies_when_picked=True), OLDER)
    assert contested > 2500
    assert share > 0.99
    assert share_right(Fifo(), OLDER)[0] < 0.7


def test_the_replay_knows_nothing_of_the_future(tmp_path: Path) -> None:
    stream = streams.load([GUEST]).train[0].stream
    end = 1500
    whole = CfsReplay().order(streams.Segment(stream, 0, len(stream)))[:end]
    for name, column in (("slices", "start_ns"), ("wakeups", "time_ns"), ("runtimes", "time_ns")):
        table = pq.read_table(GUEST / f"{name}.parquet")
        past = table.filter(pc.less_equal(table[column], int(stream.start_ns[end - 1])))
        pq.write_table(past, tmp_path / f"{name}.parquet")
    cut = streams.load([tmp_path]).train[0].stream
    assert CfsReplay().order(streams.Segment(cut, 0, end)) == whole


def test_a_recording_without_run_times_is_refused(tmp_path: Path) -> None:
    for name in ("slices", "wakeups"):
        (tmp_path / f"{name}.parquet").write_bytes((GUEST / f"{name}.parquet").read_bytes())
    with pytest.raises(TableError, match=r"runtimes\.parquet: no such table"):
        share_right(CfsReplay(), tmp_path)


def test_a_recording_of_a_kernel_that_traces_no_vruntime_is_refused(tmp_path: Path) -> None:
    for name in ("slices", "wakeups"):
        (tmp_path / f"{name}.parquet").write_bytes((GUEST / f"{name}.parquet").read_bytes())
    table = pq.read_table(GUEST / "runtimes.parquet")
    place = table.schema.get_field_index("vruntime_ns")
    pq.write_table(
        table.set_column(place, "vruntime_ns", pa.nulls(len(table), pa.int64())), tmp_path / "runtimes.parquet"
    )
    with pytest.raises(StreamError, match="traces no vruntime"):
        share_right(CfsReplay(), tmp_path)

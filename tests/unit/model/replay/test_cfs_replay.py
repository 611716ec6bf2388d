from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from locations import DATA
from replayed import contested_hits, copy_until, copy_without_run_times, stream_of, whole_order

from model.data.streams import Segment
from model.errors import StreamError, TableError
from model.predictors.scheduling_policy import CfsReplay, Fifo
from model.replay.cfs import Cfs
from model.replay.cfs_queue import Entity, Queue, Rules
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


def test_among_equals_the_first_to_queue_is_picked() -> None:
    cfs, tasks = queue_of(7, 7)
    assert picked(cfs, 1, 2) == 1
    cfs.switch_to(tasks[0])
    cfs.switch_to(tasks[1])
    cfs.switch_to(None)
    tasks[1].arrival, tasks[0].arrival = tasks[0].arrival, tasks[1].arrival
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


@pytest.mark.parametrize(("recording", "forget_buddies"), [(GUEST, False), (OLDER, True)])
def test_the_replay_predicts_a_real_scheduler(recording: Path, forget_buddies: bool) -> None:
    stream = stream_of(recording)
    hits = contested_hits(whole_order(CfsReplay(forget_buddies_when_picked=forget_buddies), recording), stream)
    assert len(hits) > 2500
    assert hits.mean() > 0.99
    assert contested_hits(whole_order(Fifo(), recording), stream).mean() < 0.7


def test_the_replay_uses_nothing_of_the_future(tmp_path: Path) -> None:
    stream = stream_of(GUEST)
    end = 1500
    cut = stream_of(copy_until(GUEST, tmp_path, int(stream.start_ns[end - 1])))
    assert CfsReplay().order(Segment(cut, 0, end)) == whole_order(CfsReplay(), GUEST)[:end]


def test_a_recording_without_run_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"runtimes\.parquet: no such table"):
        whole_order(CfsReplay(), copy_without_run_times(GUEST, tmp_path))


def test_a_recording_of_a_kernel_that_traces_no_vruntime_is_refused(tmp_path: Path) -> None:
    copy_without_run_times(GUEST, tmp_path)
    table = pq.read_table(GUEST / "runtimes.parquet").drop_columns("vruntime_ns")
    table = table.append_column("vruntime_ns", pa.nulls(len(table), pa.int64()))
    pq.write_table(table, tmp_path / "runtimes.parquet")
    with pytest.raises(StreamError, match="traces no vruntime"):
        whole_order(CfsReplay(), tmp_path)


def test_a_recording_of_a_kernel_with_eevdf_is_refused_even_with_vruntimes(tmp_path: Path) -> None:
    folder = copy_until(GUEST, tmp_path, 2**62)
    (folder / "guest.json").write_text(json.dumps({"facts": {"kernel": "6.6.1-amd64"}}))
    with pytest.raises(StreamError, match=r"has EEVDF \(Linux 6\.6 and later\)"):
        whole_order(CfsReplay(), folder)

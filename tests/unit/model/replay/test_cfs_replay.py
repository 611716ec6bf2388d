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

GUEST = DATA / "cfs_6_1"  # 4 s of nginx and ab on one CPU, Debian 12, kernel 6.1: kernel threads, the rest in a group
SWITCHED = DATA / "cfs_6_1_no_gentle_sleepers"  # 1.2 s of the same, with the feature GENTLE_FAIR_SLEEPERS off
OLDER = DATA / "cfs_5_10"  # the same on Debian 11, kernel 5.10: one queue for all


@pytest.mark.parametrize(("recording", "forget_buddies"), [(GUEST, False), (OLDER, True)])
def test_the_replay_predicts_a_real_scheduler(recording: Path, forget_buddies: bool) -> None:
    stream = stream_of(recording)
    hits = contested_hits(whole_order(CfsReplay(forget_buddies_when_picked=forget_buddies), recording), stream)
    assert len(hits) > 2500
    assert hits.mean() > 0.998
    assert contested_hits(whole_order(Fifo(), recording), stream).mean() < 0.7


def test_a_feature_that_the_experiment_switched_is_a_rule_of_the_replay(tmp_path: Path) -> None:
    hits = contested_hits(whole_order(CfsReplay(), SWITCHED), stream_of(SWITCHED))
    assert len(hits) > 1800
    assert (~hits).sum() <= 2
    for path in SWITCHED.glob("*.parquet"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    guest = (SWITCHED / "guest.json").read_text()
    (tmp_path / "guest.json").write_text(guest.replace("NO_GENTLE_FAIR_SLEEPERS", "GENTLE_FAIR_SLEEPERS"))
    assert (~contested_hits(whole_order(CfsReplay(), tmp_path), stream_of(tmp_path))).sum() > 20


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

"""The replay of real recordings of Ubuntu's 4.15, as `convert` gives them, without facts of their guests."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from locations import DATA
from replayed import contested_hits, stream_of, whole_order

from harness.trace import convert
from model.predictors.scheduling_policy import CfsReplay, Fifo
from model.replay import kernel
from model.replay.cfs_replay import ReplayedCfs
from model.replay.events import read_events
from model.replay.names import read_thread_names

RECORDINGS = ("ubuntu_4_15_0_147_nginx_ab", "ubuntu_4_15_0_147_stress", "ubuntu_4_15_0_55_shifted")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the tables of all recordings."""
    folder = tmp_path_factory.mktemp("ubuntu")
    for name in RECORDINGS:
        recording = folder / f"{name}.data"
        recording.write_bytes(lzma.decompress((DATA / f"{name}.perf.data.xz").read_bytes()))
        convert(recording, folder / name)
    return folder


def replayed(folder: Path) -> ReplayedCfs:
    """The replay after the last event of a recording."""
    stream = stream_of(folder)
    replay = kernel.create_cfs(stream, read_thread_names(folder))
    for _ in replay.rankings(read_events(stream, len(stream)), 0):
        pass
    return replay


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_replay_names_nearly_every_contested_task(tables: Path, name: str) -> None:
    folder = tables / name
    stream = stream_of(folder)
    assert contested_hits(whole_order(CfsReplay(), folder), stream).mean() > 0.995
    assert contested_hits(whole_order(Fifo(), folder), stream).mean() < 0.85


def test_nginx_and_ab_are_found_to_be_in_autogroups_of_their_own(tables: Path) -> None:
    replay = replayed(tables / "ubuntu_4_15_0_147_nginx_ab")
    queue_of = {name: task.queue for task, name in replay.groups.names.items()}
    assert len({queue_of["nginx"], queue_of["ab"], replay.cfs.root}) == 3
    assert queue_of["ksoftirqd/0"] is queue_of["rcu_sched"] is replay.cfs.root


def test_the_groups_that_the_guest_told_are_used_before_any_vruntime_is_seen(tables: Path, tmp_path: Path) -> None:
    source = tables / "ubuntu_4_15_0_147_nginx_ab"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tasks = [{"tid": tid, "comm": "nginx", "cgroup": "/", "autogroup": f"/autogroup-{tid}"} for tid in (1, 2)]
    (tmp_path / "guest.json").write_text(json.dumps({"facts": {"tasks": {"before": tasks, "after": []}}}))
    groups = kernel.create_cfs(stream_of(tmp_path), read_thread_names(tmp_path)).groups
    told, untold = ([groups.create_task(tid, "nginx", 120, None).queue for tid in tids] for tids in ((1, 2), (3, 4)))
    assert told[0] is not told[1]
    assert untold[0] is untold[1]

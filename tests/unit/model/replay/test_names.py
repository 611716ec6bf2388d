from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from locations import DATA
from replayed import stream_of

from model.data.streams import Segment
from model.predictors.scheduling_policy import CfsReplay, EevdfReplay
from model.replay.candidates import FEATURES, Candidates
from model.replay.events import read_events
from model.replay.kernel import create_replay
from model.replay.names import read_thread_names

LATER = "kworker/0:9"
RENAMED_AT = 3000  # a slice in the second half of both recordings


def rename_thread(folder: Path, out: Path) -> tuple[Path, int, int]:
    """Copy a recording, its busiest nginx thread renamed to a kernel thread from a time on; also the tid and time."""
    slices = pq.read_table(folder / "slices.parquet")
    begin_ns = int(np.sort(slices["start_ns"].to_numpy())[RENAMED_AT])
    comms = np.array([str(name) for name in slices["comm"].to_pylist()])
    tids, counts = np.unique(slices["tid"].to_numpy()[comms == "nginx"], return_counts=True)
    tid = int(tids[counts.argmax()])
    shutil.copytree(folder, out)
    for name, time in (("slices", "start_ns"), ("wakeups", "time_ns")):
        table = pq.read_table(folder / f"{name}.parquet")
        chosen = (table["tid"].to_numpy() == tid) & (table[time].to_numpy() >= begin_ns)
        comm = [LATER if late else text for late, text in zip(chosen, table["comm"].to_pylist(), strict=True)]
        index, field = table.schema.get_field_index("comm"), table.schema.field("comm")
        column = pa.array(comm).dictionary_encode().cast(field.type)
        pq.write_table(table.set_column(index, field, column), out / f"{name}.parquet")
    return out, tid, begin_ns


@pytest.mark.parametrize(("name", "predictor"), [("cfs_6_1", CfsReplay()), ("eevdf_6_12", EevdfReplay())])
def test_a_name_that_a_tid_takes_later_changes_nothing_before(
    tmp_path: Path, name: str, predictor: CfsReplay | EevdfReplay
) -> None:
    folder, tid, begin_ns = rename_thread(DATA / name, tmp_path / "renamed")
    orders = []
    for recording in (DATA / name, folder):
        stream = stream_of(recording)
        end = int(np.searchsorted(stream.start_ns, begin_ns))
        orders.append(predictor.order(Segment(stream, 0, end)))
        assert end > 2500
        assert tid in stream.tid[:end]
    assert orders[0] == orders[1]


def test_a_candidate_is_a_kernel_thread_by_the_name_it_has_then(tmp_path: Path) -> None:
    folder, tid, begin_ns = rename_thread(DATA / "eevdf_6_12", tmp_path / "renamed")
    stream, thread_names = stream_of(folder), read_thread_names(folder)
    segment = Segment(stream, 0, len(stream))
    candidates = Candidates.collect(
        segment, read_events(stream, len(stream)), thread_names, create_replay(stream, thread_names)
    )
    event = np.repeat(np.arange(len(stream)), np.diff(candidates.ranking.offsets))
    late = stream.start_ns[event] > begin_ns
    is_kernel, renamed = candidates.rows[:, FEATURES.index("kernel_thread")] == 1, candidates.ranking.tid == tid
    assert not is_kernel[renamed & ~late].any()
    assert is_kernel[renamed & late].mean() > 0.9  # except where it has waited since before
    assert (renamed & late).sum() > 100


def test_a_thread_has_its_last_name(tmp_path: Path) -> None:
    folder, tid, begin_ns = rename_thread(DATA / "cfs_6_1", tmp_path / "renamed")
    thread_names = read_thread_names(folder)
    first_ns = thread_names.since_ns[tid][0]
    assert [thread_names.name_at(tid, time) for time in (0, first_ns, begin_ns - 1)] == ["nginx"] * 3
    assert thread_names.name_at(tid, 2**62) == LATER
    assert thread_names.name_at(-7, first_ns) == ""


def test_the_name_of_a_slice_is_known_only_after_its_switch(tmp_path: Path) -> None:
    slices = pa.table({"start_ns": [10, 30], "comm": ["systemd", "nginx"], "tid": [7, 7]})
    wakeups = pa.table({"time_ns": [20], "comm": ["(nginx)"], "tid": [7]})
    empty = {"slice_ns": 5, "cpu": 0, "prio": 120, "end_state": "S", "wake_ns": 0, "runnable": [7], "contested": False}
    for table, name in ((slices, "slices"), (wakeups, "wakeups")):
        extra = {**empty, "kind": "waking", "target_cpu": 0}
        for column, value in extra.items():
            table = table.append_column(column, pa.array([value] * len(table)))
        pq.write_table(table, tmp_path / f"{name}.parquet")
    thread_names = read_thread_names(tmp_path)
    seen = [thread_names.name_at(7, time) for time in (9, 10, 11, 19, 20, 30, 31)]
    assert seen == ["systemd", "systemd", "systemd", "systemd", "(nginx)", "(nginx)", "nginx"]

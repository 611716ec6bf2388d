"""Recordings for tests of the replays, and how often a policy's first choice was right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data import streams
from model.data.streams import Segment, Stream
from model.predictors.scheduling_policy import SchedulingPolicy

TIMES = {"slices": "start_ns", "wakeups": "time_ns", "runtimes": "time_ns"}


def stream_of(folder: Path) -> Stream:
    """The only CPU of a recording."""
    return streams.load([folder]).train[0].stream


def whole_order(policy: SchedulingPolicy, folder: Path) -> list[list[int]]:
    """The policy's order of the runnable tasks at every event of a recording."""
    stream = stream_of(folder)
    return [list(tids) for tids in policy.order(Segment(stream, 0, len(stream)))]


def contested_hits(order: list[list[int]], stream: Stream) -> np.ndarray:
    """(contested,) bool: whether the task that ran came first in the order."""
    hits = np.array([tids[0] == tid for tids, tid in zip(order, stream.tid, strict=True)])
    return hits[stream.contested]


def copy_until(folder: Path, out: Path, end_ns: int) -> Path:
    """Copy the rows of a recording up to a time."""
    for name, column in TIMES.items():
        table = pq.read_table(folder / f"{name}.parquet")
        pq.write_table(table.filter(pc.less_equal(table[column], end_ns)), out / f"{name}.parquet")
    return out


def copy_without_run_times(folder: Path, out: Path) -> Path:
    """Copy a recording but for its table of run times."""
    for name in ("slices", "wakeups"):
        (out / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    return out

"""A scheduler whose entropy is known: a Markov source written as a recording, to compare scores with the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SLICES = pa.schema(
    [
        ("start_ns", pa.int64()),
        ("slice_ns", pa.int64()),
        ("cpu", pa.int16()),
        ("comm", pa.dictionary(pa.int32(), pa.string())),
        ("tid", pa.int32()),
        ("prio", pa.int16()),
        ("end_state", pa.dictionary(pa.int32(), pa.string())),
        ("wake_ns", pa.int64()),
        ("runnable", pa.list_(pa.int32())),
        ("contested", pa.bool_()),
    ],
    metadata={"schema_version": "1"},
)
WAKEUPS = pa.schema(
    [
        ("time_ns", pa.int64()),
        ("cpu", pa.int16()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
        ("comm", pa.dictionary(pa.int32(), pa.string())),
        ("tid", pa.int32()),
        ("prio", pa.int16()),
        ("target_cpu", pa.int16()),
    ],
    metadata={"schema_version": "1"},
)
RUNTIMES = pa.schema(
    [
        ("time_ns", pa.int64()),
        ("cpu", pa.int16()),
        ("comm", pa.dictionary(pa.int32(), pa.string())),
        ("tid", pa.int32()),
        ("runtime_ns", pa.int64()),
        ("vruntime_ns", pa.int64()),
    ],
    metadata={"schema_version": "1"},
)
FIRST_TID = 100
LOG_SLICE_DEVIATION = 0.3  # of the natural log of a slice's length


@dataclass(frozen=True)
class Source:
    """`tasks` tasks; the next depends on the last two; a task's slices are log-normal around 20 us times its number."""

    tasks: int
    seed: int
    transition: np.ndarray = field(init=False)  # (tasks, tasks, tasks): before, last, next

    def __post_init__(self) -> None:
        drawn = np.random.default_rng(self.seed).dirichlet(np.full(self.tasks, 0.4), (self.tasks, self.tasks))
        object.__setattr__(self, "transition", 0.95 * drawn + 0.05 / self.tasks)

    def entropy_bits(self) -> float:
        """Return the entropy rate in bits per switch: the least that any predictor can reach."""
        return float((self._pairs() * -(self.transition * np.log2(self.transition)).sum(axis=2)).sum())

    def slice_bits(self) -> float:
        """Return the least mean -log2 density of a slice given its task, with dt in microseconds."""
        last = self._pairs().sum(axis=0)
        log_mean = (last * np.log(20.0 * np.arange(1, self.tasks + 1))).sum()
        return float(log_mean + 0.5 * np.log(2 * np.pi * np.e) + np.log(LOG_SLICE_DEVIATION)) / np.log(2)

    def sample(self, events: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (events,) task numbers and slice lengths in nanoseconds."""
        draw = np.random.default_rng(seed)
        cumulative = self.transition.cumsum(axis=2)
        task = np.zeros(events, np.int64)
        for event, uniform in enumerate(draw.uniform(size=events)):
            row = cumulative[task[event - 2], task[event - 1]]
            task[event] = min(int(np.searchsorted(row, uniform)), self.tasks - 1)
        slice_us = 20.0 * (task + 1) * np.exp(draw.normal(0, LOG_SLICE_DEVIATION, events))
        return task, np.round(slice_us * 1000).astype(np.int64)

    def _pairs(self) -> np.ndarray:
        """Return (tasks, tasks) stationary probabilities of (before, last), by power iteration."""
        pairs = np.full((self.tasks, self.tasks), 1 / self.tasks**2)
        for _ in range(2000):
            pairs = np.einsum("ij,ijk->jk", pairs, self.transition)
        return pairs


def write(folder: Path, source: Source, events: int, seed: int = 1) -> None:
    """Write a one-CPU recording of the source to `folder`.

    Every second switch is contested between the next task and its neighbour. Tasks sleep after odd slices, are
    preempted after even ones, and wake a microsecond before they run.
    """
    task, slice_ns = source.sample(events, seed)
    other = (task + 1) % source.tasks
    start = 10**9 + np.concatenate([[0], np.cumsum(slice_ns)[:-1]])
    contested, zeros = np.arange(events) % 2 == 0, np.zeros(events)
    comms = [f"task{number}" for number in task]
    tids = [[FIRST_TID + int(a), FIRST_TID + int(b)][: 1 + c] for a, b, c in zip(task, other, contested, strict=True)]
    columns = {
        "start_ns": start,
        "slice_ns": slice_ns,
        "cpu": zeros,
        "comm": comms,
        "tid": FIRST_TID + task,
        "prio": np.full(events, 120),
        "end_state": ["S" if odd else "R" for odd in np.arange(events) % 2],
        "wake_ns": [int(time) - 1000 if time % 2 else None for time in start],
        "runnable": tids,
        "contested": contested,
    }
    _store(folder, "slices", SLICES, columns)
    woken = {**columns, "time_ns": start - 1000, "kind": ["waking"] * events, "target_cpu": zeros}
    _store(folder, "wakeups", WAKEUPS, woken)
    ran = {**columns, "time_ns": start + slice_ns - 1, "runtime_ns": slice_ns, "vruntime_ns": np.cumsum(slice_ns)}
    _store(folder, "runtimes", RUNTIMES, ran)


def _store(folder: Path, name: str, schema: pa.Schema, columns: Mapping[str, Any]) -> None:
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    folder.mkdir(parents=True, exist_ok=True)
    table, path = pa.Table.from_arrays(arrays, schema=schema), folder / f"{name}.parquet"
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)

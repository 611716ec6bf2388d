"""CPU time by task name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from harness.trace.tables.columns import codes, numbers, texts


@dataclass(frozen=True)
class TaskUsage:
    """CPU use of one task name: its share of all recorded CPU time, its slices, and their mean length."""

    cpu_share: float
    slices: int
    mean_slice_ns: float


class UsageCounter:
    """Adds up slices by task name; the idle tasks (tid 0) are counted separately."""

    def __init__(self) -> None:
        self._busy_ns: Counter[str] = Counter()
        self._slices: Counter[str] = Counter()
        self._idle_ns = 0

    def add(self, slices: pa.Table) -> None:
        """Count the slices of a table."""
        busy, slice_ns = numbers(slices, "tid") != 0, numbers(slices, "slice_ns")
        self._idle_ns += int(slice_ns[~busy].sum())
        comms, comm_of = texts(slices, "comm"), codes(slices, "comm")[busy]
        busy_ns, counts = np.zeros(len(comms), np.int64), np.bincount(comm_of, minlength=len(comms))
        np.add.at(busy_ns, comm_of, slice_ns[busy])
        for comm, total_ns, count in zip(comms, busy_ns.tolist(), counts.tolist(), strict=True):
            if count:
                self._busy_ns[comm] += total_ns
                self._slices[comm] += count

    def result(self) -> tuple[dict[str, TaskUsage], float]:
        """Return the usage by task name, largest share first, and the share of the idle tasks."""
        total_ns = max(sum(self._busy_ns.values()) + self._idle_ns, 1)
        usage = {
            comm: TaskUsage(busy_ns / total_ns, self._slices[comm], busy_ns / self._slices[comm])
            for comm, busy_ns in self._busy_ns.most_common()
        }
        return usage, self._idle_ns / total_ns

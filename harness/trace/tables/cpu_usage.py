"""CPU time by task name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


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
        idle = pc.equal(slices["tid"], 0)
        self._idle_ns += pc.sum(slices.filter(idle)["slice_ns"]).as_py() or 0
        busy = slices.filter(pc.invert(idle)).select(["comm", "slice_ns"]).unify_dictionaries()
        for row in busy.group_by("comm").aggregate([("slice_ns", "sum"), ("slice_ns", "count")]).to_pylist():
            self._busy_ns[row["comm"]] += row["slice_ns_sum"]
            self._slices[row["comm"]] += row["slice_ns_count"]

    def result(self) -> tuple[dict[str, TaskUsage], float]:
        """Return the usage by task name, largest share first, and the share of the idle tasks."""
        total_ns = max(sum(self._busy_ns.values()) + self._idle_ns, 1)
        usage = {
            comm: TaskUsage(busy_ns / total_ns, self._slices[comm], busy_ns / self._slices[comm])
            for comm, busy_ns in self._busy_ns.most_common()
        }
        return usage, self._idle_ns / total_ns

"""Who took the CPU."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class TaskUsage:
    """What one task name took: its share of all recorded CPU time, how many slices, and their mean length."""

    cpu_share: float
    slices: int
    mean_slice_ns: float


class UsageCounter:
    """Adds up slices by task name; those of the idle tasks (tid 0) apart."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._slices: Counter[str] = Counter()
        self._idle_ns = 0

    def add(self, slices: pa.Table) -> None:
        """Take the slices of a table."""
        idle = pc.equal(slices["tid"], 0)
        self._idle_ns += pc.sum(slices.filter(idle)["slice_ns"]).as_py() or 0
        busy = slices.filter(pc.invert(idle)).select(["comm", "slice_ns"]).unify_dictionaries()
        for row in busy.group_by("comm").aggregate([("slice_ns", "sum"), ("slice_ns", "count")]).to_pylist():
            self._taken[row["comm"]] += row["slice_ns_sum"]
            self._slices[row["comm"]] += row["slice_ns_count"]

    def result(self) -> tuple[dict[str, TaskUsage], float]:
        """CPU share, slices and mean slice by comm, the largest share first; and the share of the idle tasks."""
        total = max(sum(self._taken.values()) + self._idle_ns, 1)
        shares = {
            comm: TaskUsage(taken / total, self._slices[comm], taken / self._slices[comm])
            for comm, taken in self._taken.most_common()
        }
        return shares, self._idle_ns / total

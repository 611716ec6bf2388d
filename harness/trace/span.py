"""The counts that accumulate while a recording passes through: samples, times, order, breaks in the chain."""

from __future__ import annotations

import numpy as np

from harness.trace import quality
from harness.trace.decode import Block
from harness.trace.gather import Array


class Times:
    """Counts samples and inversions, in the order of the file, and keeps the first and the last time (ns)."""

    def __init__(self) -> None:
        self.samples = self.inversions = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._previous: int | None = None

    def add(self, times: Array) -> int | None:
        """Take the times of samples (ns, int64); the earliest of them."""
        if not len(times):
            return None
        self.samples += len(times)
        self.inversions += quality.inversions(times)
        if self._previous is not None:
            self.inversions += int(times[0] < self._previous)
        self._previous = int(times[-1])
        first, last = int(times.min()), int(times.max())
        self.first_ns = first if self.first_ns is None else min(first, self.first_ns)
        self.last_ns = last if self.last_ns is None else max(last, self.last_ns)
        return first

    def next_part(self) -> None:
        """Another file begins, whose order has nothing to do with the last one's."""
        self._previous = None

    @property
    def span_ns(self) -> int:
        """From the first sample to the last."""
        return (self.last_ns or 0) - (self.first_ns or 0)


class Chain:
    """Counts switches that do not begin with the task that the last one on their CPU switched to; notes the CPUs."""

    def __init__(self) -> None:
        self.breaks = 0
        self.cpus: set[int] = set()
        self._running: dict[int, int] = {}

    def add(self, table: str, block: Block) -> None:
        """Take a block of a table, sorted by time and behind the last one of that table."""
        if not block:
            return
        found, firsts = np.unique(block["cpu"], return_index=True)
        self.cpus.update(found.tolist())
        if table != "switches":
            return
        prev, following = block["prev_tid"], block["next_tid"]
        self.breaks += quality.chain_breaks(block["cpu"], prev, following)
        for cpu, first in zip(found.tolist(), firsts.tolist(), strict=True):
            self.breaks += self._running.get(cpu, int(prev[first])) != int(prev[first])
        backwards, lasts = np.unique(block["cpu"][::-1], return_index=True)
        for cpu, last in zip(backwards.tolist(), lasts.tolist(), strict=True):
            self._running[cpu] = int(following[len(following) - 1 - last])

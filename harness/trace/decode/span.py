"""The counts that accumulate while a recording passes through: samples, times, order, losses, breaks in the chain."""

from __future__ import annotations

import struct
from collections import Counter

import numpy as np

from harness.trace.decode.decoder import NEVER, Block
from harness.trace.decode.gather import Array
from harness.trace.decode.walk import Other

LOST, LOST_SAMPLES = 2, 13


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
        self.inversions += int((times[1:] < times[:-1]).sum())
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


class Losses:
    """Counts lost events from LOST {id, lost} and LOST_SAMPLES {lost} records."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.counted: Counter[int] = Counter()

    def add(self, buffer: Array, record: Other) -> None:
        """Take the count out of one record; others are passed over."""
        place = {LOST: 16, LOST_SAMPLES: 8}.get(record.type)
        if place is not None and record.size >= place + 8:
            self.counted[record.type] += struct.unpack_from(self.order + "Q", buffer.data, record.at + place)[0]

    @property
    def events(self) -> int:
        """The larger of both sums: they count the same losses. Forged ones end at 2^63 - 1."""
        return min(max(self.counted[LOST], self.counted[LOST_SAMPLES]), NEVER)


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
        self.breaks += _chain_breaks(block["cpu"], prev, following)
        for cpu, first in zip(found.tolist(), firsts.tolist(), strict=True):
            self.breaks += self._running.get(cpu, int(prev[first])) != int(prev[first])
        backwards, lasts = np.unique(block["cpu"][::-1], return_index=True)
        for cpu, last in zip(backwards.tolist(), lasts.tolist(), strict=True):
            self._running[cpu] = int(following[len(following) - 1 - last])


def _chain_breaks(cpu: Array, prev_tid: Array, next_tid: Array) -> int:
    """How many switches (sorted by time) do not begin with the task that the last one on their CPU switched to."""
    order = np.argsort(cpu, kind="stable")
    same = cpu[order][1:] == cpu[order][:-1]
    return int((same & (next_tid[order][:-1] != prev_tid[order][1:])).sum())

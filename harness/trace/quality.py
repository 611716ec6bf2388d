"""Whether a recording is whole and sound: everything a verdict about it needs, in one record."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from harness.trace.gather import Array
from harness.trace.walk import Other

LOST, LOST_SAMPLES = 2, 13


@dataclass(frozen=True)
class TraceQuality:
    """What is known about the soundness of a recording.

    `lost_events` is the larger of what LOST and LOST_SAMPLES records say (both count the same losses).
    `chain_breaks`: switches whose `next_tid` is not the `prev_tid` of the next switch on that CPU.
    `inversions`: samples that are earlier than the sample before them in the file (normal with several CPUs).
    `truncated`: the data ends before the header says, or within a record. `killed`: the recorder did not live to
    write the end of its header. `span_ns`: last sample's time minus the first one's. `clock`: `perf` or the clock
    chosen with -k. `cpus`: those that have samples. `decode_errors`: samples that could not be read.
    """

    samples: int
    lost_events: int
    chain_breaks: int
    inversions: int
    truncated: bool
    killed: bool
    span_ns: int
    clock: str
    cpus: tuple[int, ...]
    decode_errors: int
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing."""
        return not (self.lost_events or self.chain_breaks or self.truncated or self.killed or self.decode_errors)


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
        """The larger of both sums: they count the same losses."""
        return max(self.counted[LOST], self.counted[LOST_SAMPLES])


def chain_breaks(cpu: Array, prev_tid: Array, next_tid: Array) -> int:
    """How many switches (sorted by time) do not begin with the task that the last one on their CPU switched to."""
    order = np.argsort(cpu, kind="stable")
    same = cpu[order][1:] == cpu[order][:-1]
    return int((same & (next_tid[order][:-1] != prev_tid[order][1:])).sum())


def inversions(times: Array) -> int:
    """How many times are smaller than the one before."""
    return int((times[1:] < times[:-1]).sum())

"""Whether a recording is whole and sound: everything a verdict about it needs, in one record."""

from __future__ import annotations

from dataclasses import dataclass, field


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

"""The results of a decoder: columns of rows, and counts over the recording."""

from __future__ import annotations

from ctypes import Array
from dataclasses import dataclass, field, replace
from typing import Any

Block = dict[str, "Array[Any]"]  # columns of equal length; task names and states are numbers
NEVER = (1 << 63) - 1  # a time (ns) after all others


@dataclass(frozen=True)
class UnendedStays:
    """Stays that have no end, because the next switch on their CPU is away from another task.

    `stays` counts those of tasks that no switch is away from, `tasks` these tasks, `most` the stays of one of them, all
    without the idle task. `left` counts the tasks that some switch is away from; `idle_left`: the idle task is among
    them. `idle` counts the stays of the idle task.
    """

    stays: int = 0
    tasks: int = 0
    most: int = 0
    left: int = 0
    idle: int = 0
    idle_left: bool = False


@dataclass(frozen=True)
class Absences:
    """Stays of tasks away from the CPUs, by the prev_state in which they began.

    `ended` counts those that ended, `unwoken` those of them without a recorded wakeup, `lasting` those that have lasted
    for long at the end of the recording. `woken` counts the tasks that were woken for a recorded CPU as long ago, and
    did not run since.
    """

    ended: dict[int, int] = field(default_factory=dict)
    unwoken: dict[int, int] = field(default_factory=dict)
    lasting: dict[int, int] = field(default_factory=dict)
    woken: int = 0


@dataclass(frozen=True)
class RecordingStats:
    """Counts over a recording, and the times of its first and last sample (ns).

    `inversions` counts samples earlier than the sample before them in their file. `lost_events` is the larger of the
    sums of LOST and LOST_SAMPLES records, which count the same losses. `bad` counts samples that cannot be decoded,
    `repeats` those of events that another attr recorded, too, and `counts` the others by event. `unknown_records`
    are of types that neither the kernel nor perf has. `gap_ns`: the longest time without an event. It, `chain_breaks`,
    `unended`, `absences` and `cpus` cover the rows released so far.
    """

    samples: int
    inversions: int
    first_ns: int
    last_ns: int
    lost_events: int
    bad: int = 0
    unknown_records: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    chain_breaks: int = 0
    cpus: tuple[int, ...] = ()
    unended: UnendedStays = UnendedStays()
    absences: Absences = Absences()
    gap_ns: int = 0

    @property
    def span_ns(self) -> int:
        """Time from the first sample to the last."""
        return self.last_ns - self.first_ns

    def completed(self, second: RecordingStats) -> RecordingStats:
        """Return these counts of a first pass, which decodes nothing, with what a second pass decoded."""
        decoded = ("bad", "counts", "repeats", "chain_breaks", "cpus", "unended", "absences", "gap_ns")
        return replace(self, **{name: getattr(second, name) for name in decoded})

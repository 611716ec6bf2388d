"""struct perf_event_attr of a recorded event, and the layout of the event's samples that follows from it.

Offsets follow include/uapi/linux/perf_event.h (the comment above PERF_RECORD_SAMPLE).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import TraceError
from harness.trace.perf_data import constants as perf
from harness.trace.perf_data.cursor import Cursor

_PERF_CLOCK = "perf"  # the kernel's sched_clock, which perf uses without -k
_WORDS_BEFORE_TAIL = (  # the parts of fixed size, eight bytes each, in the order in which the kernel writes them
    perf.PERF_SAMPLE_IDENTIFIER,
    perf.PERF_SAMPLE_IP,
    perf.PERF_SAMPLE_TID,
    perf.PERF_SAMPLE_TIME,
    perf.PERF_SAMPLE_ADDR,
    perf.PERF_SAMPLE_ID,
    perf.PERF_SAMPLE_STREAM_ID,
    perf.PERF_SAMPLE_CPU,
    perf.PERF_SAMPLE_PERIOD,
)


@dataclass(frozen=True)
class Attr:
    """One recorded event and the shape of its samples.

    `period`: one sample for so many events, or with `by_frequency` so many samples a second. `follows_children`: also
    the tasks that a recorded task starts. `excludes_kernel`: not in the kernel, where tracepoints are (perf's `:u`).
    `starts_at_exec`: recorded from the exec of one command on. `overwrites`: the buffer keeps the last events, not the
    first.
    """

    type: int
    config: int
    sample_type: int
    read_format: int
    clock: str
    period: int = 1
    by_frequency: bool = False
    follows_children: bool = True
    excludes_kernel: bool = False
    starts_at_exec: bool = False
    overwrites: bool = False

    @property
    def is_tracepoint(self) -> bool:
        """Whether it is one of the kernel's tracepoints."""
        return self.type == perf.PERF_TYPE_TRACEPOINT

    @property
    def is_recorded(self) -> bool:
        """Whether it gives samples: tracepoints are in the kernel, and of a group with `:S` only the leader does."""
        return not self.excludes_kernel and (self.period > 0 or self.by_frequency)

    @property
    def is_sampled(self) -> bool:
        """Whether events are left out on purpose.

        With a period in the samples, the kernel records every event (perf_swevent_event in kernel/events/core.c).
        """
        return self.by_frequency or (self.period > 1 and not self.sample_type & perf.PERF_SAMPLE_PERIOD)


@dataclass(frozen=True)
class SampleOffsets:
    """Byte offsets in a sample record, its header included; None for a part that is not recorded.

    `tail` is the offset of the parts of variable size: READ and CALLCHAIN, in this order, then RAW.
    """

    id: int | None
    time: int | None
    cpu: int | None
    tail: int
    has_read: bool
    has_callchain: bool


def parse_attr(data: bytes | memoryview, little: bool = True) -> Attr:
    """Read a perf_event_attr of any version (64 bytes or more). Raises TraceError for one that is too short."""
    cursor = Cursor(data, little=little, name="perf_event_attr")
    if cursor.left < 48:
        raise TraceError(f"perf_event_attr has {cursor.left} bytes", expected="at least 48")
    kind, _size, config, period, sample_type, read_format, flags = cursor.unpack("IIQQQQQ")

    def has(bit: int) -> bool:
        return bool(flags >> (bit if little else 63 - bit) & 1)  # bit fields are mirrored

    clock = _PERF_CLOCK
    if has(perf.ATTR_USE_CLOCKID) and len(data) >= 96:
        (clockid,) = Cursor(data, 92, little=little).unpack("i")
        clock = perf.CLOCK_NAMES.get(clockid, f"clock {clockid}")
    return Attr(
        kind,
        config,
        sample_type,
        read_format,
        clock,
        period,
        by_frequency=has(perf.ATTR_FREQ),
        follows_children=has(perf.ATTR_INHERIT),
        excludes_kernel=has(perf.ATTR_EXCLUDE_KERNEL),
        starts_at_exec=has(perf.ATTR_ENABLE_ON_EXEC),
        overwrites=has(perf.ATTR_WRITE_BACKWARD),
    )


def sample_offsets(attr: Attr) -> SampleOffsets:
    """Return the offsets of the parts of this event's samples."""
    recorded = [bit for bit in _WORDS_BEFORE_TAIL if attr.sample_type & bit]
    offsets = {bit: 8 + 8 * index for index, bit in enumerate(recorded)}
    return SampleOffsets(
        id=offsets.get(perf.PERF_SAMPLE_IDENTIFIER, offsets.get(perf.PERF_SAMPLE_ID)),
        time=offsets.get(perf.PERF_SAMPLE_TIME),
        cpu=offsets.get(perf.PERF_SAMPLE_CPU),
        tail=8 + 8 * len(recorded),
        has_read=bool(attr.sample_type & perf.PERF_SAMPLE_READ),
        has_callchain=bool(attr.sample_type & perf.PERF_SAMPLE_CALLCHAIN),
    )


def read_words(attr: Attr, members: int = 1) -> int:
    """Return how many eight-byte words READ takes for a group of `members` events."""
    formats = attr.read_format
    times = bool(formats & perf.PERF_FORMAT_TOTAL_TIME_ENABLED) + bool(formats & perf.PERF_FORMAT_TOTAL_TIME_RUNNING)
    extras = bool(formats & perf.PERF_FORMAT_ID) + bool(formats & perf.PERF_FORMAT_LOST)
    if is_grouped(attr):
        return 1 + times + members * (1 + extras)
    return 1 + times + extras


def is_grouped(attr: Attr) -> bool:
    """Whether READ begins with the number of events in a group."""
    return bool(attr.read_format & perf.PERF_FORMAT_GROUP)

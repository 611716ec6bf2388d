"""How the samples of a recording are laid out, and which tracepoint format each follows."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import TraceError
from harness.trace.perf_data.attr import Attr, SampleOffsets, sample_offsets
from harness.trace.perf_data.constants import PERF_SAMPLE_RAW, PERF_SAMPLE_TIME, PERF_TYPE_TRACEPOINT
from harness.trace.perf_data.header import Header
from harness.trace.tracepoint.format import TracepointFormat


@dataclass(frozen=True)
class SampleLayouts:
    """Where each attr's samples have their parts, and the formats by common_type.

    `groups[i]` is the index of the first attr with the layout of attr i; -1 if attr i records no tracepoint data.
    `id_offset` is None if samples have no id, or have it at different offsets; all then count as the first attr's.
    """

    offsets: list[SampleOffsets]
    groups: list[int]
    id_offset: int | None
    time_offset: int
    formats: dict[int, TracepointFormat]


def sample_layouts(header: Header) -> SampleLayouts:
    """Derive the layouts from the header of a recording. TraceError where its samples carry no times."""
    offsets = [sample_offsets(attr) for attr in header.attrs]
    time_offset = next((parts.time for parts in offsets if parts.time), None)
    if time_offset is None:
        raise TraceError("the recording has no timestamps", hint="record with `perf sched record`, which adds them")
    id_offsets = {parts.id for parts in offsets}
    formats = (header.formats or {}).values()
    by_name = {(tracepoint.system, tracepoint.name): tracepoint for tracepoint in formats}  # a forged file repeats some
    return SampleLayouts(
        offsets,
        _groups(header.attrs),
        id_offsets.pop() if len(id_offsets) == 1 and header.ids else None,
        time_offset,
        {event.id: event for event in by_name.values() if event.id < 1 << 16},  # common_type has 16 bits
    )


def _has_tracepoint(attr: Attr) -> bool:
    needed = PERF_SAMPLE_RAW | PERF_SAMPLE_TIME
    return attr.type == PERF_TYPE_TRACEPOINT and attr.sample_type & needed == needed


def _groups(attrs: list[Attr]) -> list[int]:
    firsts: dict[tuple[int, int], int] = {}
    return [
        firsts.setdefault((attr.sample_type, attr.read_format), index) if _has_tracepoint(attr) else -1
        for index, attr in enumerate(attrs)
    ]

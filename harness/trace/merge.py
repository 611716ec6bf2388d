"""Brings the blocks of a recording into the order of time while they are read, holding no more than is needed.

A file is nearly in order: each CPU's buffer is written in turn, so what is late is late by a little. A first pass
notes the earliest time in each buffer; with it, the second pass knows after each buffer up to which time nothing more
can come, and gives away what is before. This is exact, whatever the order of the file; a file in no order at all is
held back whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from harness.trace.decode import Block, Decoder
from harness.trace.gather import Array, gather
from harness.trace.quality import Losses
from harness.trace.recording import Part, Recording
from harness.trace.span import Times
from harness.trace.stream import CHUNK_BYTES
from harness.trace.tables import join
from harness.trace.walk import Walk

_NEVER = np.iinfo(np.int64).max
RELEASE_ROWS = 100_000  # rows that are worth giving away


@dataclass
class Scan:
    """What the first pass found: per part, the earliest time from each buffer on; and the counts of the whole."""

    times: Times
    losses: Losses
    bounds: list[list[int]] = field(default_factory=list)


def scan(recording: Recording, decoder: Decoder, chunk_bytes: int = CHUNK_BYTES) -> Scan:
    """The first pass over a recording."""
    found = Scan(Times(), Losses(decoder.order))
    for part in recording.parts:
        earliest: list[int] = []
        for buffer, records in part.buffers(decoder.hints, chunk_bytes):
            for other in records.others:
                found.losses.add(buffer, other)
            times = gather(buffer, records.samples, decoder.order + "i8", decoder.time_offset)
            first = found.times.add(times.astype(np.int64))
            earliest.append(_NEVER if first is None else first)
        found.times.next_part()
        from_here = np.minimum.accumulate(np.array([*earliest, _NEVER])[::-1])[::-1]
        found.bounds.append(from_here.tolist())
    return found


def in_order(
    recording: Recording,
    decoder: Decoder,
    bounds: list[list[int]],
    chunk_bytes: int = CHUNK_BYTES,
    release_rows: int = RELEASE_ROWS,
) -> Iterator[dict[str, Block]]:
    """The second pass: blocks per table, sorted by time, each wholly behind the last one."""
    held: dict[str, list[tuple[int, Block]]] = {}
    rows = 0
    for part, buffer, records, limit in _by_time(recording.parts, decoder, bounds, chunk_bytes):
        for table, blocks in decoder.decode(buffer, records.samples, decoder.heads(buffer, records.samples)).items():
            held.setdefault(table, []).extend((part, block) for block in blocks)
            rows += sum(len(block["time_ns"]) for block in blocks)
        if rows >= release_rows:
            yield _release(held, limit)
            rows = sum(len(block["time_ns"]) for blocks in held.values() for _, block in blocks)
    if any(held.values()):
        yield _release(held, _NEVER)


def _by_time(
    parts: list[Part], decoder: Decoder, bounds: list[list[int]], chunk_bytes: int
) -> Iterator[tuple[int, Array, Walk, int]]:
    """The next buffer of whichever part has the earliest times to come, and the time before which all is read then."""
    streams = [part.buffers(decoder.hints, chunk_bytes) for part in parts]
    at = [0] * len(parts)
    while remaining := [place for place in range(len(parts)) if at[place] < len(bounds[place]) - 1]:
        part = min(remaining, key=lambda place: bounds[place][at[place]])
        buffer, records = next(streams[part])
        at[part] += 1
        yield part, buffer, records, min(bounds[place][at[place]] for place in range(len(parts)))


def _release(held: dict[str, list[tuple[int, Block]]], limit: int) -> dict[str, Block]:
    """Take the rows before `limit` out of `held`, sorted; what is left stays there, sorted too.

    Rows of one time stay in the order of the files, and of each file.
    """
    released: dict[str, Block] = {}
    for table, blocks in held.items():
        ready, rest = [], []
        for part in sorted({part for part, _ in blocks}):
            whole = join([block for of, block in blocks if of == part])
            cut = int(np.searchsorted(whole["time_ns"], limit)) if limit != _NEVER else len(whole["time_ns"])
            ready.append({name: values[:cut] for name, values in whole.items()})
            if cut < len(whole["time_ns"]):
                rest.append((part, {name: values[cut:].copy() for name, values in whole.items()}))
        held[table] = rest
        released[table] = join(ready)
    return {table: block for table, block in released.items() if block and len(block["time_ns"])}

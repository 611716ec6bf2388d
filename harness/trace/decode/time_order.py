"""Brings the blocks of a recording into the order of time while they are read, holding no more than is needed.

A file is nearly in order: each CPU's buffer is written in turn, so what is late is late by a little. A first pass
notes the earliest time in each buffer; with it, the second pass knows after each buffer up to which time nothing more
can come, and gives away what is before. This is exact, whatever the order of the file; a file in no order at all is
held back whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from harness.trace.decode.decoder import NEVER, Block, Engine
from harness.trace.perf_data.recording import Recording
from harness.trace.perf_data.records import CHUNK_BYTES

RELEASE_ROWS = 100_000  # rows that are worth giving away
Bounds = list[list[int]]  # per part, the earliest time from each buffer on (ns), and NEVER behind the last


def scan(recording: Recording, engine: Engine, chunk_bytes: int = CHUNK_BYTES) -> Bounds:
    """The first pass over a recording."""
    bounds: Bounds = []
    for number, part in enumerate(recording.parts):
        engine.enter(number)
        earliest = [engine.earliest_ns for _ in part.feed(engine, chunk_bytes)]
        bounds.append(list(accumulate([NEVER, *reversed(earliest)], min))[::-1])
    return bounds


def in_order(
    recording: Recording,
    engine: Engine,
    bounds: Bounds,
    chunk_bytes: int = CHUNK_BYTES,
    release_rows: int = RELEASE_ROWS,
) -> Iterator[dict[str, Block]]:
    """The second pass: blocks per table, sorted by time, each wholly behind the last one.

    What could not be given away is not sorted again before as many rows more have come: sorting stays in proportion to
    the file, in whatever order that is.
    """
    streams = [part.feed(engine, chunk_bytes) for part in recording.parts]
    at, enough = [0] * len(streams), release_rows
    while remaining := [place for place in range(len(streams)) if at[place] < len(bounds[place]) - 1]:
        part = min(remaining, key=lambda place: bounds[place][at[place]])
        engine.enter(part)
        next(streams[part])
        at[part] += 1
        if engine.rows >= enough:
            yield engine.release(min(bounds[place][at[place]] for place in range(len(streams))))
            enough = max(release_rows, 2 * engine.rows)
    for stream in streams:
        next(stream, None)  # to its end, where it notes what was not read
    if engine.rows:
        yield engine.release(NEVER)

"""Decides when rows can leave the decoder, so that they come out in the order of time; native/sort.c sorts them.

A file is nearly in order: perf empties one CPU's buffer after the other, so an event is late by a little. A first pass
notes the earliest time in each buffer of records. From these the second pass knows, after each buffer, up to which time
no more rows can come, and releases the rows before it. This is exact for a file in any order; a file in no order at
all is kept back whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate

from harness.errors import TraceError
from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.decode.results import NEVER, Block
from harness.trace.perf_data.recording import Recording
from harness.trace.perf_data.records import CHUNK_BYTES

RELEASE_ROWS = 100_000  # fewer rows are not worth a release
EarliestTimes = list[list[int]]  # by part: the earliest time (ns) from each buffer on, then NEVER


def earliest_times(recording: Recording, decoder: NativeDecoder, chunk_bytes: int = CHUNK_BYTES) -> EarliestTimes:
    """Make the first pass over a recording."""
    times: EarliestTimes = []
    for number, part in enumerate(recording.parts):
        decoder.enter_part(number)
        by_buffer = [decoder.earliest_ns for _ in part.feed(decoder, chunk_bytes)]
        times.append(list(accumulate([NEVER, *reversed(by_buffer)], min))[::-1])
    return times


def in_time_order(
    recording: Recording,
    decoder: NativeDecoder,
    times: EarliestTimes,
    chunk_bytes: int = CHUNK_BYTES,
    release_rows: int = RELEASE_ROWS,
    most_held: float = math.inf,
) -> Iterator[dict[str, Block]]:
    """Make the second pass: yield blocks by table, sorted by time, each wholly after the one before.

    Raises TraceError where more than `most_held` rows cannot be released, because earlier ones are still to come.
    """
    for limit_ns in release_times(recording, decoder, times, chunk_bytes, release_rows):
        if limit_ns is not None:
            yield decoder.release(limit_ns)
            _require_order(decoder.rows, most_held)
        elif decoder.rows:
            yield decoder.release_all()


def _require_order(held: int, most_held: float) -> None:
    if held > most_held:
        raise TraceError(
            f"the recording is too far out of order: {held:,} events are followed by earlier ones",
            expected=f"at most {most_held:,}, as many as perf's buffers hold",
            hint="`harness trace convert` reads it nevertheless, with memory for all of them",
        )


def release_times(
    recording: Recording,
    decoder: NativeDecoder,
    times: EarliestTimes,
    chunk_bytes: int = CHUNK_BYTES,
    release_rows: int = RELEASE_ROWS,
) -> Iterator[int | None]:
    """Make the second pass: yield the times (ns) before which no more rows can come, and None at the end.

    At each time the caller sorts the rows and takes those before it. Rows that stay are sorted again only after their
    number has doubled, so that the work of sorting stays proportional to the file, whatever its order.
    """
    feeds = [part.feed(decoder, chunk_bytes) for part in recording.parts]
    taken, release_at = [0] * len(feeds), release_rows  # buffers of each part; rows at which to release
    while unfinished := [part for part in range(len(feeds)) if taken[part] < len(times[part]) - 1]:
        part = min(unfinished, key=lambda part: times[part][taken[part]])
        decoder.enter_part(part)
        next(feeds[part])
        taken[part] += 1
        if decoder.rows >= release_at:
            yield min(times[part][taken[part]] for part in range(len(feeds)))
            release_at = max(release_rows, 2 * decoder.rows)
    for feed in feeds:
        next(feed, None)  # to its end: there it records which bytes were not read
    yield None

"""Decodes the beginning of a recording before its tables are made."""

from __future__ import annotations

from collections.abc import Iterator

from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.decode.row_release import EarliestTimes, in_time_order
from harness.trace.perf_data.recording import Recording
from harness.trace.tracepoint.state_reading import Events


def read_ahead(recording: Recording, earliest: EarliestTimes, chunk_bytes: int) -> Iterator[Events]:
    """Yield the events in order of time, as soon as they can be released."""
    decoder = NativeDecoder(recording.header, len(recording.parts))
    for blocks in in_time_order(recording, decoder, earliest, chunk_bytes, 1):
        yield blocks, decoder.states()

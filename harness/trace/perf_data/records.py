"""Cuts a stream of records into buffers of whole records, and reads no more than a chunk at a time."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from harness.errors import TraceError
from harness.trace.perf_data.constants import (
    PERF_RECORD_AUXTRACE,
    PERF_RECORD_HEADER_TRACING_DATA,
    SIMPLEPERF_TYPE_START,
)
from harness.trace.perf_data.file_kind import MAGIC_BIG, MAGIC_LITTLE
from harness.trace.perf_data.header import Section

# Records that are followed by bytes that their size does not count.
TRAILING_PAYLOAD = frozenset({PERF_RECORD_AUXTRACE, PERF_RECORD_HEADER_TRACING_DATA})
PADDING = 256  # zero bytes after the data of every buffer, so that a read beyond a short record stays inside
CHUNK_BYTES = 1 << 20
_MAX_RECORD = 1 << 16  # bytes; a record's size has 16 bits
_MAX_SKIPPED = 10_000  # records; each moves the whole buffer, and real files have a few


class ByteSource(Protocol):
    """Bytes that can be read in order."""

    def readinto(self, target: memoryview) -> int:
        """Fill `target` as far as there are bytes. Return how many were put there, 0 at the end."""


class BufferSink(Protocol):
    """Takes buffers of records, as the decoder does."""

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """Take the records of `buffer[:size]`, after which PADDING zero bytes follow.

        Return how many bytes were taken, and why no more. `cut`: the next record does not end in the buffer. `skip`:
        its type is in TRAILING_PAYLOAD, its size is no multiple of eight, or it is larger than a record of perf can
        be. `broken`: its size is impossible. Empty: nothing is left.
        """


class FileBytes:
    """The bytes of a section of a file."""

    def __init__(self, file: BinaryIO, section: Section) -> None:
        self.file, self.left = file, section.size
        if section.size:  # a forged offset may be too large to seek to
            file.seek(section.offset)

    def readinto(self, target: memoryview) -> int:
        """Fill `target` as far as the section goes. Return how many bytes were put there."""
        wanted = min(len(target), self.left)
        read = self.file.readinto(target[:wanted]) if wanted else 0  # type: ignore[attr-defined]
        self.left -= read
        return read


class RecordStream:
    """Passes the records of `source` to `sink`, one buffer at a time.

    After iteration, `unread_bytes` that were taken from `source` were not passed on, for the reason `stop_reason`:
    one of those of BufferSink.take, or `second`, where another recording begins.
    """

    def __init__(self, source: ByteSource, order: str, sink: BufferSink, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.source, self.order, self.sink, self.chunk_bytes = source, order, sink, chunk_bytes
        self.unread_bytes, self.stop_reason = 0, ""
        self._buffer = bytearray(chunk_bytes + _MAX_RECORD + PADDING)
        self._size, self._skipped = 0, 0  # bytes in the buffer; records skipped
        self._taken, self._lacks_payload = 0, False

    def __iter__(self) -> Iterator[None]:
        """Pass one more buffer at each step. A record that crosses the end of a buffer comes with the next one."""
        ended = False
        while True:
            ended = ended or not self._fill()
            taken, stop_reason = self.sink.take(self._buffer, self._size)
            yield
            if stop_reason and self._buffer[taken : taken + 8] in (MAGIC_LITTLE, MAGIC_BIG):
                self.unread_bytes, self.stop_reason = self._size - taken, "second"
                return
            if stop_reason == "skip" and self._skipped < _MAX_SKIPPED:
                self._skipped += 1
                taken += self._size_with_payload(taken)
                self._skip(taken - self._size)
            elif stop_reason in ("skip", "broken") or ended:
                self.unread_bytes = self._size - taken
                self.stop_reason = stop_reason or ("cut" if self._lacks_payload else "")
                self._taken = taken
                return
            self._drop(taken)

    def last_kind(self) -> int:
        """Return the type of the last record, after iteration; 0 where it was in a buffer before the last."""
        offset = kind = 0
        while offset + 8 <= self._taken:
            kind, _misc, length = struct.unpack_from(self.order + "IHH", self._buffer, offset)
            offset += max(length, 8)
        return int(kind)

    def _fill(self) -> bool:
        """Add a chunk, unless more than a record is left. Return whether the source may have more."""
        if self._size > _MAX_RECORD:
            return True
        wanted = self._size + self.chunk_bytes
        with memoryview(self._buffer) as view:
            while self._size < wanted:
                read = self.source.readinto(view[self._size : wanted])
                self._size += read
                if not read:
                    break
            view[self._size : self._size + PADDING] = bytes(PADDING)
        return self._size == wanted

    def _drop(self, taken: int) -> None:
        """Move the bytes after the first `taken` to the front of the buffer."""
        kept = self._buffer[min(taken, self._size) : self._size]
        self._buffer[: len(kept) + PADDING] = kept + bytes(PADDING)
        self._size = len(kept)

    def _size_with_payload(self, offset: int) -> int:
        """Return the size of the record at `offset`, with the trailing bytes that its own size does not count."""
        kind, misc, length = struct.unpack_from(self.order + "IHH", self._buffer, offset)
        if kind >= SIMPLEPERF_TYPE_START:
            return int(misc << 16 | length)
        if offset + 16 > self._size:
            return length
        if kind == PERF_RECORD_AUXTRACE:
            return length + int(struct.unpack_from(self.order + "Q", self._buffer, offset + 8)[0])
        if kind == PERF_RECORD_HEADER_TRACING_DATA:
            return length + (int(struct.unpack_from(self.order + "I", self._buffer, offset + 8)[0]) + 7) // 8 * 8
        return length

    def _skip(self, size: int) -> None:
        """Read and drop `size` bytes of the source."""
        scratch = memoryview(bytearray(min(max(size, 0), 1 << 16)))
        while size > 0:
            read = self.source.readinto(scratch[: min(size, len(scratch))])
            if not read:
                self._lacks_payload = True
                return
            size -= read


@contextlib.contextmanager
def as_trace_error() -> Iterator[None]:
    """Turn an OSError into a TraceError: the recording, not a table, could not be read."""
    try:
        yield
    except OSError as error:
        raise TraceError(
            f"cannot read the recording: {error.strerror or error}", expected="a file or a folder that you may read"
        ) from error

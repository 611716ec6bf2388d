"""Cuts a stream of records into buffers of whole records, reading no more than a chunk at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from harness.trace.decode.decoder import PADDING
from harness.trace.perf_data.header import Section
from harness.trace.perf_data.zstd import Bytes

AUXTRACE, TRACING_DATA = 71, 66
APART = frozenset({AUXTRACE, TRACING_DATA})  # followed by bytes that their size does not count
MAX_RECORD = 1 << 16  # bytes; a record's size has 16 bits
CHUNK_BYTES = 1 << 20
_MAX_APART = 10_000  # records that are read apart cost a look at the whole buffer each; real files have a few


class Taker(Protocol):
    """What takes buffers of records: an `engine.Engine`, as far as it matters here."""

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """See `Engine.take`."""


class FileBytes:
    """The bytes of a section of a file."""

    def __init__(self, file: BinaryIO, section: Section) -> None:
        self.file, self.left = file, section.size
        if section.size:  # a forged offset may lie beyond anything that can be sought
            file.seek(section.offset)

    def readinto(self, target: memoryview) -> int:
        """Fill `target` as far as the section goes; how many bytes were put there."""
        wanted = min(len(target), self.left)
        read = self.file.readinto(target[:wanted]) if wanted else 0  # type: ignore[attr-defined]
        self.left -= read
        return read


class Records:
    """Gives the records of `source` to an engine, a buffer of them at a time.

    After iteration, `left` bytes behind the last whole record were not read, and `why`: one of the reasons of
    `walk.Walk.stopped`.
    """

    def __init__(self, source: Bytes, order: str, engine: Taker, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.source, self.order, self.engine, self.chunk_bytes = source, order, engine, chunk_bytes
        self.left, self.why = 0, ""
        self._buffer = bytearray(chunk_bytes + MAX_RECORD + PADDING)
        self._size, self._apart = 0, 0  # bytes in the buffer; records read apart

    def __iter__(self) -> Iterator[None]:
        """Goes on to the next buffer. A record that straddles two comes with the second."""
        ended = False
        while True:
            ended = ended or not self._fill()
            at, why = self.engine.take(self._buffer, self._size)
            yield
            if why == "apart" and self._apart < _MAX_APART:
                self._apart += 1
                at += self._apart_size(at)
                self._skip(at - self._size)
            elif why in ("apart", "broken") or ended:
                self.left, self.why = self._size - at, why
                return
            self._drop(at)

    def _fill(self) -> bool:
        """Add up to a chunk, unless more than a record is left; whether the source may have more."""
        if self._size > MAX_RECORD:
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

    def _drop(self, at: int) -> None:
        """Move what is behind `at` to the front of the buffer."""
        kept = self._buffer[min(at, self._size) : self._size]
        self._buffer[: len(kept) + PADDING] = kept + bytes(PADDING)
        self._size = len(kept)

    def _apart_size(self, at: int) -> int:
        """How far a record reaches, with the bytes behind it that its own size does not count."""
        kind, _, length = struct.unpack_from(self.order + "IHH", self._buffer, at)
        if at + 16 > self._size:
            return length
        if kind == AUXTRACE:
            return length + int(struct.unpack_from(self.order + "Q", self._buffer, at + 8)[0])
        if kind == TRACING_DATA:
            return length + (int(struct.unpack_from(self.order + "I", self._buffer, at + 8)[0]) + 7) // 8 * 8
        return length

    def _skip(self, size: int) -> None:
        """Read over `size` bytes of the source, in pieces."""
        scratch = memoryview(bytearray(min(max(size, 0), 1 << 16)))
        while size > 0:
            read = self.source.readinto(scratch[: min(size, len(scratch))])
            if not read:
                return
            size -= read

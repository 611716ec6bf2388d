"""Cuts a stream of records into buffers of whole records, reading no more than a chunk at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from harness.trace.compressed import Bytes
from harness.trace.gather import PADDING, Array
from harness.trace.header import Section
from harness.trace.ids import Ids
from harness.trace.walk import AUXTRACE, TRACING_DATA, Walk, walk

CHUNK_BYTES = 2 << 20
_MAX_APART = 10_000  # records that are read apart cost a look at the whole buffer each; real files have a few


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


@dataclass(frozen=True)
class Hints:
    """What makes samples easier to find: the ids of events and where in a sample they stand."""

    ids: Ids | None = None
    id_offset: int | None = None


class Records:
    """The records of `source`. After iteration, `left` bytes behind the last whole record were not read, and `why`."""

    def __init__(self, source: Bytes, order: str, hints: Hints, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.source, self.order, self.hints, self.chunk_bytes = source, order, hints, chunk_bytes
        self.left, self.why = 0, ""
        self._apart = 0

    def __iter__(self) -> Iterator[tuple[Array, Walk]]:
        """Buffers and the records found in each. A record that straddles two buffers comes with the second."""
        kept = np.zeros(0, np.uint8)
        while True:
            buffer, size = self._fill(kept)
            found = walk(buffer, size, self.order, self.hints.ids, self.hints.id_offset)
            yield buffer, found
            at = found.end
            if found.stopped == "apart" and self._apart < _MAX_APART:
                self._apart += 1
                at += self._apart_size(buffer, found.end, size)
                self._skip(at - size)
            elif found.stopped in ("apart", "broken") or size == len(kept):
                self.left, self.why = size - found.end, found.stopped
                return
            kept = buffer[min(at, size) : size]

    def _fill(self, kept: Array) -> tuple[Array, int]:
        """A buffer of `kept` and what the source gives up to a chunk, and how many bytes it holds."""
        more = max(self.chunk_bytes - len(kept), 1 << 16)
        buffer = np.empty(len(kept) + more + PADDING, np.uint8)
        buffer[: len(kept)] = kept
        size = len(kept)
        while size < len(kept) + more:
            read = self.source.readinto(buffer.data[size : len(kept) + more])
            if not read:
                break
            size += read
        buffer[size : size + PADDING] = 0
        return buffer, size

    def _apart_size(self, buffer: Array, at: int, size: int) -> int:
        """How far a record reaches, with the bytes behind it that its own size does not count."""
        kind, _, length = struct.unpack_from(self.order + "IHH", buffer.data, at)
        if at + 16 > size:
            return length
        if kind == AUXTRACE:
            return length + int(struct.unpack_from(self.order + "Q", buffer.data, at + 8)[0])
        if kind == TRACING_DATA:
            return length + (int(struct.unpack_from(self.order + "I", buffer.data, at + 8)[0]) + 7) // 8 * 8
        return length

    def _skip(self, size: int) -> None:
        """Read over `size` bytes of the source, in pieces."""
        scratch = memoryview(bytearray(min(max(size, 0), 1 << 16)))
        while size > 0:
            read = self.source.readinto(scratch[: min(size, len(scratch))])
            if not read:
                return
            size -= read

"""Cuts the data section of a recording into buffers of whole records, reading no more than a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from harness.trace.gather import PADDING, Array
from harness.trace.header import Section
from harness.trace.walk import Walk, walk

CHUNK_BYTES = 8 << 20
_MAX_RECORD = 1 << 16


@dataclass
class Ending:
    """How the stream ended: `left` bytes behind the last whole record, and why the walk stopped there."""

    left: int = 0
    why: str = ""


@dataclass
class Records:
    """One file's stream of records: `section` of `file`, byte order `order` (`<` or `>`)."""

    file: BinaryIO
    section: Section
    order: str
    known_ids: Array | None = None
    id_offset: int | None = None
    chunk_bytes: int = CHUNK_BYTES

    def __post_init__(self) -> None:
        self.ending = Ending()

    def __iter__(self) -> Iterator[tuple[Array, Walk]]:
        """Buffers and the records found in each. A record that straddles two buffers comes with the second."""
        self.file.seek(self.section.offset)
        wanted, kept = self.section.size, b""
        while True:
            buffer, size = self._fill(kept, min(wanted, self.chunk_bytes))
            wanted -= size - len(kept)
            found = walk(buffer, size, self.order, self.known_ids, self.id_offset)
            yield buffer, found
            last = wanted <= 0 or size - len(kept) == 0
            kept = buffer[found.end : size].tobytes()
            if last or found.stopped in ("broken", "apart"):
                self.ending = Ending(len(kept) + wanted, found.stopped)
                return

    def _fill(self, kept: bytes, more: int) -> tuple[Array, int]:
        """A buffer of `kept` and up to `more` bytes of the file, and how many bytes it holds."""
        buffer = np.zeros(len(kept) + more + PADDING, np.uint8)
        buffer[: len(kept)] = np.frombuffer(kept, np.uint8)
        read = self.file.readinto(buffer.data[len(kept) : len(kept) + more])  # type: ignore[attr-defined]
        return buffer, len(kept) + read

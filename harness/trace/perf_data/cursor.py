"""A cursor over untrusted bytes: every read is checked against the bytes that are left before memory is allocated."""

from __future__ import annotations

import struct

from harness.errors import TraceError


class Cursor:
    """Reads integers and strings of one byte order from `data`, from `position` (bytes) on; `name` is for errors."""

    def __init__(self, data: bytes | memoryview, position: int = 0, *, little: bool = True, name: str = "data") -> None:
        self.data, self.position, self.name = memoryview(data), position, name
        self.order = "<" if little else ">"

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.position

    def take(self, size: int) -> memoryview:
        """Read the next `size` bytes. Raises TraceError if fewer are left."""
        if size < 0 or size > self.left:
            raise TraceError(
                f"{self.name} ends early: {size} bytes wanted at offset {self.position}, {max(self.left, 0)} left",
                expected="a whole perf.data file",
                hint="record again, or read what is left of it without strict",
            )
        start, self.position = self.position, self.position + size
        return self.data[start : self.position]

    def unpack(self, layout: str) -> tuple[int, ...]:
        """Read the integers of a `struct` layout, which is given without its byte-order character."""
        return struct.unpack(self.order + layout, self.take(struct.calcsize(self.order + layout)))

    def u8(self) -> int:
        """Read one byte."""
        return self.unpack("B")[0]

    def u32(self) -> int:
        """Read four bytes, unsigned."""
        return self.unpack("I")[0]

    def u64(self) -> int:
        """Read eight bytes, unsigned."""
        return self.unpack("Q")[0]

    def text_until_nul(self, limit: int = 4096) -> bytes:
        """Read up to the next NUL, and skip the NUL. Raises TraceError if there is none within `limit` bytes."""
        window = bytes(self.data[self.position : self.position + limit])
        end = window.find(b"\0")
        if end < 0:
            raise TraceError(f"{self.name}: no end of the string that begins at offset {self.position}")
        self.position += end + 1
        return window[:end]

    def counted_text(self) -> bytes:
        """Read a perf header string: u32 length, then that many bytes, NUL-padded."""
        return bytes(self.take(self.u32())).split(b"\0", 1)[0]

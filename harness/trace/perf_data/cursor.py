"""A cursor over untrusted bytes: every read is checked against what is there before anything is allocated."""

from __future__ import annotations

import struct

from harness.errors import TraceError


class Cursor:
    """Reads integers and strings of one byte order from `data`, starting at `position` (bytes)."""

    def __init__(self, data: bytes | memoryview, position: int = 0, *, little: bool = True, what: str = "data") -> None:
        self.data, self.position, self.what = memoryview(data), position, what
        self.order = "<" if little else ">"

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.position

    def take(self, size: int) -> memoryview:
        """The next `size` bytes; TraceError where fewer are left."""
        if size < 0 or size > self.left:
            raise TraceError(
                f"{self.what} ends early: {size} bytes wanted at offset {self.position}, {max(self.left, 0)} left",
                expected="a whole perf.data file",
                hint="record again, or read what is left of it without strict",
            )
        start, self.position = self.position, self.position + size
        return self.data[start : self.position]

    def unpack(self, layout: str) -> tuple[int, ...]:
        """The integers of a `struct` layout (without its byte-order character)."""
        return struct.unpack(self.order + layout, self.take(struct.calcsize(self.order + layout)))

    def u8(self) -> int:
        """One byte."""
        return self.unpack("B")[0]

    def u32(self) -> int:
        """Four bytes, unsigned."""
        return self.unpack("I")[0]

    def u64(self) -> int:
        """Eight bytes, unsigned."""
        return self.unpack("Q")[0]

    def text_until_nul(self, limit: int = 4096) -> bytes:
        """Bytes up to the next NUL, which is skipped; TraceError where none comes within `limit`."""
        window = bytes(self.data[self.position : self.position + limit])
        end = window.find(b"\0")
        if end < 0:
            raise TraceError(f"{self.what}: no end of the string that begins at offset {self.position}")
        self.position += end + 1
        return window[:end]

    def counted_text(self) -> bytes:
        """A perf header string: u32 length, then that many bytes, NUL-padded."""
        return bytes(self.take(self.u32())).split(b"\0", 1)[0]

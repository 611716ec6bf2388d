"""The records inside a recording made with `-z`.

perf compresses what comes out of the kernel's buffers as one zstd stream and cuts that into records of type 81, or 83
in newer versions. A record may straddle two of them, so they are given as one stream of bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

COMPRESSED, COMPRESSED2 = 81, 83
_MAX_WINDOW = 128 << 20  # bytes; what zstd's own tools allow
_FED = 1024  # bytes decompressed at a time: at most 32 MB, in a file made to do harm


class Bytes(Protocol):
    """Something that bytes can be read from, in order."""

    def readinto(self, target: memoryview) -> int:
        """Fill `target` as far as there are bytes; how many were put there, 0 at the end."""


class Decompressed:
    """The decompressed contents of every compressed record of `outer`; `plain` are the other records, as bytes.

    `why` says what stopped it short of the end, `left` how many bytes of `outer` are in no whole record.
    """

    def __init__(self, outer: Bytes, order: str) -> None:
        self.outer, self.order = outer, order
        self.plain: list[bytes] = []
        self.why, self.left = "", 0
        self._pieces = self._decompressed()
        self._rest = b""

    def readinto(self, target: memoryview) -> int:
        """Fill `target`; a stream that cannot be decompressed ends there, and `why` says so."""
        done = 0
        while done < len(target):
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            given = self._rest[: len(target) - done]
            target[done : done + len(given)] = given
            done, self._rest = done + len(given), self._rest[len(given) :]
        return done

    def _decompressed(self) -> Iterator[bytes]:
        """What is in the records, piece by piece.

        zstandard's stream_reader would do, but at the end it loses what its last read has no room for.
        """
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        stream = decompressor.decompressobj(read_across_frames=True)
        for payload in self._payloads():
            for start in range(0, len(payload), _FED):
                try:
                    piece = stream.decompress(payload[start : start + _FED])
                except zstandard.ZstdError as error:
                    self.why = f"the compressed records cannot be decompressed: {error}"
                    return
                if piece:
                    yield piece

    def _payloads(self) -> Iterator[bytes]:
        """What each compressed record holds; other records are put aside."""
        while head := _exactly(self.outer, 8):
            kind, _, size = struct.unpack_from(self.order + "IHH", head.ljust(8, b"\xff"))
            body = _exactly(self.outer, size - 8) if len(head) == 8 and size >= 8 else b""
            if len(head) + len(body) != size:
                self.left += len(head) + len(body)
                return
            if kind == COMPRESSED:
                yield body
            elif kind == COMPRESSED2:
                yield _sized(body, self.order)
            else:
                self.plain.append(head + body)


def _sized(body: bytes, order: str) -> bytes:
    """A record of type 83: u64 size of the data, the data, padding."""
    if len(body) < 8:
        return b""
    return body[8 : 8 + struct.unpack_from(order + "Q", body)[0]]


def _exactly(source: Bytes, size: int) -> bytes:
    """`size` bytes, or fewer at the end."""
    target = bytearray(max(0, size))
    done = 0
    while done < len(target):
        more = source.readinto(memoryview(target)[done:])
        if not more:
            break
        done += more
    return bytes(target[:done])

"""Records that zstd compressed: `perf record -z`.

perf compresses what the kernel's buffers hold as one zstd stream, and cuts the stream into records of the
type COMPRESSED (COMPRESSED2 in newer versions). A record of the kernel may lie in two of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from harness.trace.perf_data.constants import PERF_RECORD_COMPRESSED, PERF_RECORD_COMPRESSED2
from harness.trace.perf_data.file_kind import MAGIC_BIG, MAGIC_LITTLE
from harness.trace.perf_data.records import ByteSource

COMPRESSED_RECORDS = (PERF_RECORD_COMPRESSED, PERF_RECORD_COMPRESSED2)
MAX_WINDOW = 128 << 20  # bytes; the limit of zstd's own tools
MAX_RATIO, SMALL_BYTES = 500, 64 << 20  # a real recording shrinks to a tenth; a small one may be anything
_INPUT_BYTES = 1024  # bytes decompressed at a time: they become at most 32 MB, in a forged file


class DecompressedRecords:
    """The decompressed contents of every compressed record of `outer`, as one stream of bytes.

    `other_records` collects the records that are not compressed. `failure` is the reason for an early end,
    `last_kind` the type of the last record of `outer`.
    """

    def __init__(self, outer: ByteSource, order: str) -> None:
        self.outer, self.order = outer, order
        self.other_records: list[bytes] = []
        self.failure, self.last_kind = "", 0
        self._cut_bytes, self._payload_left = 0, 0  # of the last record; of the payload that is being decompressed
        self._packed_bytes, self._unpacked_bytes = 0, 0
        self._pieces = self._decompress()
        self._rest = b""

    @property
    def unread_bytes(self) -> int:
        """Bytes that were taken from `outer` and not passed on."""
        return self._cut_bytes + self._payload_left + len(self._rest)

    def readinto(self, target: memoryview) -> int:
        """Fill `target`. A stream that cannot be decompressed ends, and `failure` gives the reason."""
        filled = 0
        while filled < len(target):
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            piece = self._rest[: len(target) - filled]
            target[filled : filled + len(piece)] = piece
            filled, self._rest = filled + len(piece), self._rest[len(piece) :]
        return filled

    def _decompress(self) -> Iterator[bytes]:
        """Yield the contents of the records in pieces.

        zstandard's stream_reader is not used, because at the end it drops the bytes that do not fit into its last read.
        """
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        stream = decompressor.decompressobj(read_across_frames=True)
        for payload in self._payloads():
            for start in range(0, len(payload), _INPUT_BYTES):
                self._payload_left = len(payload) - start
                try:
                    piece = stream.decompress(payload[start : start + _INPUT_BYTES])
                except zstandard.ZstdError as error:
                    self.failure = f"the compressed records cannot be decompressed: {error}"
                    return
                self._payload_left = max(0, self._payload_left - _INPUT_BYTES)
                self._packed_bytes += _INPUT_BYTES
                self._unpacked_bytes += len(piece)
                if self._unpacked_bytes > max(SMALL_BYTES, MAX_RATIO * self._packed_bytes):
                    self.failure = f"the compressed records unpack to more than {MAX_RATIO} times their size"
                    return
                if piece:
                    yield piece

    def _payloads(self) -> Iterator[bytes]:
        """Yield the compressed bytes of each record, and set other records aside."""
        while head := _read_up_to(self.outer, 8):
            if head in (MAGIC_LITTLE, MAGIC_BIG):
                self._cut_bytes, self.failure = len(head), "another recording begins"
                return
            kind, _misc, size = struct.unpack_from(self.order + "IHH", head.ljust(8, b"\xff"))
            body = _read_up_to(self.outer, size - 8) if len(head) == 8 and size >= 8 else b""
            if len(head) + len(body) != size:
                self._cut_bytes = len(head) + len(body)
                self.failure = "the last record is cut"
                return
            self.last_kind = kind
            if kind == PERF_RECORD_COMPRESSED:
                yield body
            elif kind == PERF_RECORD_COMPRESSED2:
                yield _without_padding(body, self.order)
            else:
                self.other_records.append(head + body)


def _without_padding(body: bytes, order: str) -> bytes:
    """Return the data of a COMPRESSED2 record: u64 size of the data, the data, padding."""
    if len(body) < 8:
        return b""
    return body[8 : 8 + struct.unpack_from(order + "Q", body)[0]]


def _read_up_to(source: ByteSource, size: int) -> bytes:
    """Return `size` bytes, or fewer at the end."""
    target = bytearray(max(0, size))
    filled = 0
    while filled < len(target):
        read = source.readinto(memoryview(target)[filled:])
        if not read:
            break
        filled += read
    return bytes(target[:filled])

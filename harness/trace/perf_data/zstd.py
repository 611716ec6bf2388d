"""Recordings that zstd compressed: the records inside a file (`perf record -z`), or the file as a whole.

With `-z`, perf compresses what the kernel's buffers hold as one zstd stream, and cuts the stream into records of the
type COMPRESSED (COMPRESSED2 in newer versions). A record of the kernel may lie in two of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from harness.errors import TraceError
from harness.files import as_host_error
from harness.trace.perf_data.constants import PERF_RECORD_COMPRESSED, PERF_RECORD_COMPRESSED2
from harness.trace.perf_data.records import ByteSource, as_trace_error

COMPRESSED_RECORDS = (PERF_RECORD_COMPRESSED, PERF_RECORD_COMPRESSED2)
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW = 128 << 20  # bytes; the limit of zstd's own tools
_INPUT_BYTES = 1024  # bytes decompressed at a time: they become at most 32 MB, in a forged file


class DecompressedFile:
    """The contents of a compressed file (perf.data.zst), in a temporary file that lives as long as this object."""

    def __init__(self, compressed: Path) -> None:
        import tempfile

        import zstandard

        self.file = tempfile.NamedTemporaryFile(prefix="perf.data-")  # noqa: SIM115 - it lives as long as this
        self.path = Path(self.file.name)
        try:
            with compressed.open("rb") as file, as_host_error(self.path):
                source = cast(BinaryIO, _RecordingFile(file))
                zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).copy_stream(source, self.file)
                self.file.flush()
        except zstandard.ZstdError as error:
            raise TraceError(f"the compressed recording is damaged: {error}", hint="pull or copy it again") from error


class _RecordingFile:
    """A file whose read errors are TraceErrors, so that they differ from write errors of the file it is copied to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Read as a file does."""
        with as_trace_error():
            return self._file.read(size)


class DecompressedRecords:
    """The decompressed contents of every compressed record of `outer`, as one stream of bytes.

    `other_records` collects the records that are not compressed. `failure` is the reason for an early end; `left`
    counts the bytes of `outer` after its last whole record.
    """

    def __init__(self, outer: ByteSource, order: str) -> None:
        self.outer, self.order = outer, order
        self.other_records: list[bytes] = []
        self.failure, self.left = "", 0
        self._pieces = self._decompress()
        self._rest = b""

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

        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        stream = decompressor.decompressobj(read_across_frames=True)
        for payload in self._payloads():
            for start in range(0, len(payload), _INPUT_BYTES):
                try:
                    piece = stream.decompress(payload[start : start + _INPUT_BYTES])
                except zstandard.ZstdError as error:
                    self.failure = f"the compressed records cannot be decompressed: {error}"
                    return
                if piece:
                    yield piece

    def _payloads(self) -> Iterator[bytes]:
        """Yield the compressed bytes of each record, and set other records aside."""
        while head := _read_up_to(self.outer, 8):
            kind, _misc, size = struct.unpack_from(self.order + "IHH", head.ljust(8, b"\xff"))
            body = _read_up_to(self.outer, size - 8) if len(head) == 8 and size >= 8 else b""
            if len(head) + len(body) != size:
                self.left += len(head) + len(body)
                return
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

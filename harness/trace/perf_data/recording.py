"""A recording on disk, in any form that perf writes: a seekable file, the output of a pipe, a folder of files."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data.constants import HEADER_COMPRESSED, PERF_RECORD_SAMPLE
from harness.trace.perf_data.header import Header, Section, read_header
from harness.trace.perf_data.pipe_header import read_pipe_header
from harness.trace.perf_data.records import (
    CHUNK_BYTES,
    PADDING,
    TRAILING_PAYLOAD,
    BufferSink,
    ByteSource,
    FileBytes,
    RecordStream,
    as_trace_error,
)
from harness.trace.perf_data.zstd import COMPRESSED_RECORDS, ZSTD_MAGIC, DecompressedFile, DecompressedRecords


@dataclass
class Part:
    """One file with records: `section` of `path`, in the byte order `<` or `>`.

    After a read, `unread_bytes` counts the bytes at the end that could not be read, for the reason `unread_reason`.
    """

    path: Path
    section: Section
    order: str
    compressed: bool
    unread_bytes: int = 0
    unread_reason: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether everything was read."""
        return not (self.unread_bytes or self.unread_reason)

    def feed(self, sink: BufferSink, chunk_bytes: int = CHUNK_BYTES) -> Iterator[None]:
        """Pass the records to `sink`, one buffer at each step, in the order of the file. May be repeated."""
        with as_trace_error(), self.path.open("rb") as file:
            outer = FileBytes(file, self.section)
            if not self.compressed:
                yield from self._feed_from(outer, sink, chunk_bytes)
                return
            inner = DecompressedRecords(outer, self.order)
            yield from self._feed_from(inner, sink, chunk_bytes)
            self.unread_bytes += inner.left + outer.left
            self.unread_reason = inner.failure or ("the last record is cut" if inner.left else self.unread_reason)
            others = b"".join(record.ljust((len(record) + 7) // 8 * 8, b"\0") for record in inner.other_records)
            sink.take(bytearray(others + bytes(PADDING)), len(others))
            yield

    def _feed_from(self, source: ByteSource, sink: BufferSink, chunk_bytes: int) -> Iterator[None]:
        stream = RecordStream(source, self.order, sink, chunk_bytes)
        yield from stream
        reasons = {"cut": "the last record is cut", "broken": "a record has an impossible size", "": ""}
        self.unread_bytes = stream.unread_bytes
        self.unread_reason = reasons.get(stream.stop_reason, "a record is of a kind that cannot be read")


@dataclass
class Recording:
    """The header of a recording, and the parts that hold its records. `size` is in bytes, of the file with the header.

    `decompressed` keeps the temporary copy of a compressed file alive.
    """

    path: Path
    header: Header
    size: int
    parts: list[Part] = field(default_factory=list)
    decompressed: DecompressedFile | None = None

    @property
    def missing_bytes(self) -> int:
        """Bytes of data that the header promises and the file lacks."""
        return 0 if self.header.killed else max(0, self.header.data.end - self.size)


def open_recording(path: Path, formats_from: Path | None = None) -> Recording:
    """Read the header of `path`: a file, a file that zstd compressed, or a folder from `perf record --threads`.

    Takes the tracepoint formats of `formats_from` if this recording has none. Raises TraceError, with the path, for a
    file that is no recording.
    """
    main, decompressed = path / "data" if path.is_dir() else path, None
    with path_in_errors(main):
        if _is_compressed(main):
            decompressed = DecompressedFile(main)
            main = decompressed.path
        header, size = _read_header(main)
        if header.formats is None and formats_from is not None:
            header.formats = open_recording(formats_from).header.formats
            header.problems.append(f"the tracepoint formats are those of {formats_from.name}")
    compressed = HEADER_COMPRESSED in header.features
    data = Section(header.data.offset, max(0, min(header.data.size, size - header.data.offset)))
    parts = [Part(main, data, header.order, compressed)]
    for file in _data_files(path):
        parts.append(Part(file, Section(0, file.stat().st_size), header.order, compressed))
    return Recording(path, header, size, parts, decompressed)


@contextlib.contextmanager
def path_in_errors(path: Path) -> Iterator[None]:
    """Prefix the `where` of a TraceError with the path; turn OSError and MemoryError into TraceError."""
    try:
        with as_trace_error():
            yield
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        raise TraceError(
            f"there is not enough memory for this recording{detail}",
            where=str(path),
            hint="`harness trace convert` needs the least: its memory does not grow with the recording",
        ) from error
    except TraceError as error:
        if not (error.where or "").startswith(str(path)):
            error.where = f"{path}: {error.where}" if error.where else str(path)
        raise


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == ZSTD_MAGIC


def _read_header(path: Path) -> tuple[Header, int]:
    with path.open("rb") as file:
        size = path.stat().st_size
        header = read_header(file, size)
        if header.pipe:
            read_pipe_header(file, header, size)
        elif header.killed and _has_compressed_records(file, header):
            header.features.add(HEADER_COMPRESSED)
        return header, size


def _has_compressed_records(file: BinaryIO, header: Header) -> bool:
    """Whether a killed recorder, which left no list of features, compressed its records."""
    probe = _FirstSample(header.order)
    for _ in RecordStream(FileBytes(file, header.data), header.order, probe):
        pass
    return probe.kind in COMPRESSED_RECORDS


class _FirstSample:
    """Searches the first record that is a sample or compressed; `kind` is its type."""

    def __init__(self, order: str) -> None:
        self.order, self.kind = order, 0
        self._left = 1_000_000  # records; before the first sample there are a few for every task that runs

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """See `BufferSink.take`."""
        offset = 0
        while offset + 8 <= size and self._left:
            kind, _misc, length = struct.unpack_from(self.order + "IHH", buffer, offset)
            if kind == PERF_RECORD_SAMPLE or kind in COMPRESSED_RECORDS or length < 8:
                self.kind, self._left = kind, 0
            elif kind in TRAILING_PAYLOAD or length % 8:
                return offset, "skip"
            elif offset + length > size:
                break
            else:
                offset, self._left = offset + length, self._left - 1
        return offset, "cut" if self._left else "broken"


def _data_files(folder: Path) -> list[Path]:
    """Return data.0, data.1, ... of a folder in the order of their numbers; none for a file."""
    if not folder.is_dir():
        return []
    files = [file for file in folder.iterdir() if file.name.startswith("data.") and file.name[5:].isdecimal()]
    return sorted(files, key=lambda file: int(file.name[5:]))

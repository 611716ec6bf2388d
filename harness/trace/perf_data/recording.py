"""A recording on disk, in any form that perf writes: a seekable file, the output of a pipe, a folder of files."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.counted import counted
from harness.errors import TraceError, UsageError
from harness.files import open_regular
from harness.trace.perf_data.compressed_records import COMPRESSED_RECORDS, DecompressedRecords
from harness.trace.perf_data.constants import (
    HEADER_COMPRESSED,
    PERF_RECORD_EXIT,
    PERF_RECORD_LOST,
    PERF_RECORD_SAMPLE,
    SIMPLEPERF_TYPE_START,
)
from harness.trace.perf_data.file_kind import MAGIC_BIG, MAGIC_LITTLE, compression_of
from harness.trace.perf_data.folder import data_files, lacking_files, main_file
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
from harness.trace.perf_data.simpleperf import read_simpleperf_formats
from harness.trace.perf_data.targets import read_targets

if TYPE_CHECKING:
    from harness.trace.perf_data.compressed_file import DecompressedFile

_OF_A_ROUND = {PERF_RECORD_LOST, PERF_RECORD_EXIT, PERF_RECORD_SAMPLE, *COMPRESSED_RECORDS}  # never written after it
_STOP_REASONS = {
    "": "",
    "cut": "the last record is cut",
    "broken": "a record has an impossible size",
    "skip": "too many records are of a kind that cannot be read",
    "second": "another recording begins",
    "unended": "the output of the pipe ends within a round of records, which perf always completes",
}


@dataclass
class Part:
    """One file with records: `section` of `path`, in the byte order `<` or `>`. `name` is the one that messages use.

    How long the output of a `pipe` was is not known, so its last record tells whether it ended well. After a read,
    `unread_bytes` counts the bytes at the end that could not be read, for the reason `unread_reason`.
    """

    path: Path
    section: Section
    order: str
    compressed: bool
    name: str
    pipe: bool = False
    unread_bytes: int = 0
    unread_reason: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether everything was read."""
        return not (self.unread_bytes or self.unread_reason)

    def feed(self, sink: BufferSink, chunk_bytes: int = CHUNK_BYTES) -> Iterator[None]:
        """Pass the records to `sink`, one buffer at each step, in the order of the file. May be repeated."""
        with as_trace_error(), open_regular(self.path) as file:
            outer = FileBytes(file, self.section)
            if not self.compressed:
                stream = yield from self._feed_from(outer, sink, chunk_bytes)
                self.unread_bytes += outer.left
                if self.pipe:
                    self._note_end(stream.last_kind())
                return
            inner = DecompressedRecords(outer, self.order)
            yield from self._feed_from(inner, sink, chunk_bytes)
            self.unread_bytes += inner.unread_bytes + outer.left
            self.unread_reason = inner.failure or self.unread_reason
            if self.pipe:
                self._note_end(inner.last_kind)
            others = b"".join(record.ljust((len(record) + 7) // 8 * 8, b"\0") for record in inner.other_records)
            sink.take(bytearray(others + bytes(PADDING)), len(others))
            yield

    def _note_end(self, last_kind: int) -> None:
        if self.is_whole and last_kind in _OF_A_ROUND:
            self.unread_reason = _STOP_REASONS["unended"]

    def _feed_from(self, source: ByteSource, sink: BufferSink, chunk_bytes: int) -> Generator[None, None, RecordStream]:
        stream = RecordStream(source, self.order, sink, chunk_bytes)
        yield from stream
        self.unread_bytes = stream.unread_bytes
        self.unread_reason = _STOP_REASONS[stream.stop_reason]
        return stream


@dataclass
class Recording:
    """The header of a recording, and the parts that hold its records. `size` is in bytes, of the file with the header.

    `losses` says what is known to be missing before the records are read, beside `missing_bytes`. `trailing_bytes`
    follow the recording in its file. `decompressed` keeps the temporary copy of a compressed file alive.
    """

    path: Path
    header: Header
    size: int
    parts: list[Part] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    trailing_bytes: int = 0
    decompressed: DecompressedFile | None = None

    @property
    def missing_bytes(self) -> int:
        """Bytes of data that the header promises and the file lacks."""
        return 0 if self.header.killed else max(0, self.header.data.end - self.size)

    @property
    def unread_bytes(self) -> int:
        """Bytes that were not read, or are missing, as far as their number is known."""
        return self.missing_bytes + self.trailing_bytes + sum(part.unread_bytes for part in self.parts)


def open_recording(path: Path, formats_from: Path | None = None) -> Recording:
    """Read the header of `path`: a file, compressed as a whole or not, or a folder from `perf record --threads`.

    Takes the tracepoint formats of `formats_from` if this recording has none. Raises TraceError, with the path, for a
    file that is no recording, or for a `formats_from` without formats.
    """
    if str(path) == "-" and not path.exists():
        raise UsageError("a recording is not read from standard input", hint="write it to a file, and give the file")
    with path_in_errors(path):
        main = main_file(path) if path.is_dir() else path
    with path_in_errors(main):
        recording = _open(path, main)
    if recording.header.formats is None and formats_from is not None:
        _lend_formats(recording.header, formats_from)
    return recording


def _open(path: Path, main: Path) -> Recording:
    decompressed = _decompressed(main)
    file = decompressed.path if decompressed else main
    try:
        header, size = _read_header(file)
    except TraceError as error:
        if decompressed and decompressed.failure:
            error.what = f"the {decompressed.kind} file {decompressed.failure}; {error.what}"
        raise
    recording = Recording(path, header, size, decompressed=decompressed)
    if decompressed and decompressed.failure:
        recording.losses.append(f"the {decompressed.kind} file {decompressed.failure}: its end is not unpacked")
    _add_parts(recording, main, file)
    _note_trailing_bytes(recording, file)
    return recording


def _decompressed(main: Path) -> DecompressedFile | None:
    with open_regular(main) as file:
        kind = compression_of(file.read(8))
        if not kind:
            return None
        from harness.trace.perf_data.compressed_file import DecompressedFile

        file.seek(0)
        return DecompressedFile(main, file, kind)


def _add_parts(recording: Recording, main: Path, file: Path) -> None:
    header, size = recording.header, recording.size
    data = Section(header.data.offset, max(0, min(header.data.size, size - header.data.offset)))
    files = data_files(recording.path)
    sections = {file: data, **{other: _whole_file(other) for other in files}}
    compressed = HEADER_COMPRESSED in header.features or (
        header.killed
        and any(_has_compressed_records(file, section, header.order) for file, section in sections.items())
    )
    recording.parts.append(Part(file, data, header.order, compressed, main.name, header.pipe))
    for other in files:
        recording.parts.append(Part(other, sections[other], header.order, compressed, other.name))
    recording.losses += lacking_files(header, files, is_folder=recording.path.is_dir())


def _whole_file(path: Path) -> Section:
    """Return all of a file in a folder. Raises TraceError with its name, also where it is no regular file."""
    with path_in_errors(path), open_regular(path):
        return Section(0, path.stat().st_size)


def _note_trailing_bytes(recording: Recording, path: Path) -> None:
    """Note what follows the last part of the header, which perf writes last. Zeros are no loss."""
    header, trailing = recording.header, recording.size - recording.header.end
    if header.pipe or header.killed or trailing <= 0:
        return
    with open_regular(path) as file:
        file.seek(header.end)
        start = file.read(CHUNK_BYTES)
    if start.strip(b"\0"):
        is_recording = start.startswith((MAGIC_LITTLE, MAGIC_BIG))
        what = "another recording follows this one in its file" if is_recording else "bytes follow the recording"
        recording.losses.append(f"{what}: the last {trailing} bytes of the file are not read")
        recording.trailing_bytes = trailing


def _lend_formats(header: Header, lender: Path) -> None:
    lending = open_recording(lender).header
    if lending.formats is None:
        raise TraceError(
            "this recording has no tracepoint formats to lend", where=str(lender), hint="name a whole recording"
        )
    header.formats = lending.formats
    _note_lacking_formats(header, lender)
    its, ours = lending.os_release or "an unknown kernel", header.os_release
    if ours is None:
        header.os_release = lending.os_release
        header.problems.append(
            f"the tracepoint formats are those of {lender.name}, of {its}; "
            "this recording does not name its kernel, which is taken to be the same"
        )
    elif ours == lending.os_release:
        header.problems.append(f"the tracepoint formats are those of {lender.name}")
    else:
        header.problems.append(
            f"the tracepoint formats are those of {lender.name}, of another kernel: {its}, this is {ours}; "
            "fields may be read from wrong places"
        )


def _note_lacking_formats(header: Header, lender: Path) -> None:
    """Note the recorded tracepoints whose formats the lender lacks: a recording holds those of its own events."""
    recorded = {attr.config for attr in header.attrs if attr.is_tracepoint}
    lacking = recorded - (header.formats or {}).keys()
    if lacking:
        header.problems.append(
            f"{lender.name} lacks the formats of {len(lacking)} of the {counted(len(recorded), 'event')} that were "
            "recorded here, whose samples cannot be decoded: lend those of a recording with the same events (-e)"
        )


@contextlib.contextmanager
def path_in_errors(path: Path) -> Iterator[None]:
    """Name the path, and something to do, in a TraceError; turn OSError and MemoryError into TraceError."""
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
        if not (error.expected or error.hint):
            error.hint = "it is damaged: copy or record it again"
        raise


def _read_header(path: Path) -> tuple[Header, int]:
    with open_regular(path) as file:
        size = path.stat().st_size
        header = read_header(file, size)
        if header.pipe:
            read_pipe_header(file, header, size)
        read_targets(file, header, size)
        if header.formats is None and not header.pipe:
            read_simpleperf_formats(file, header, size)
        return header, size


def _has_compressed_records(path: Path, section: Section, order: str) -> bool:
    """Whether a killed recorder, which left no list of features, compressed its records."""
    probe = _FirstSample(order)
    with open_regular(path) as file:
        for _ in RecordStream(FileBytes(file, section), order, probe):
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
            kind, misc, length = struct.unpack_from(self.order + "IHH", buffer, offset)
            if kind == PERF_RECORD_SAMPLE or kind in COMPRESSED_RECORDS or length < 8:
                self.kind, self._left = kind, 0
            elif kind in TRAILING_PAYLOAD or length % 8 or (kind >= SIMPLEPERF_TYPE_START and misc):
                return offset, "skip"
            elif offset + length > size:
                break
            else:
                offset, self._left = offset + length, self._left - 1
        return offset, "cut" if self._left else "broken"

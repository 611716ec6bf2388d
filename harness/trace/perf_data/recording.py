"""A recording on disk, in any of the forms that perf writes: a file, what came out of a pipe, a folder of files."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from harness.errors import TraceError
from harness.files import as_host_error
from harness.trace.decode.decoder import PADDING
from harness.trace.perf_data.header import COMPRESSED, Header, Section, read_header
from harness.trace.perf_data.pipe_header import read_pipe_header
from harness.trace.perf_data.records import APART, CHUNK_BYTES, FileBytes, Records, Taker
from harness.trace.perf_data.tracing_data import TracingData
from harness.trace.perf_data.zstd import Bytes, Decompressed

_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_SAMPLE, _COMPRESSED_RECORDS = 9, (81, 83)


@dataclass
class Part:
    """One file with records: `section` of `path`. `order` is `<` or `>`.

    After it was read, `unread` says why its last `left` bytes could not be.
    """

    path: Path
    section: Section
    order: str
    compressed: bool
    left: int = 0
    unread: str = ""

    def feed(self, engine: Taker, chunk_bytes: int = CHUNK_BYTES) -> Iterator[None]:
        """Give the records to an engine, a buffer a step, in the order of the file; may be done again."""
        with _readable(), self.path.open("rb") as file:
            outer = FileBytes(file, self.section)
            if not self.compressed:
                yield from self._plain(outer, engine, chunk_bytes)
                return
            inner = Decompressed(outer, self.order)
            yield from self._plain(inner, engine, chunk_bytes)
            self.left += inner.left + outer.left
            self.unread = inner.why or ("the last record is cut" if inner.left else self.unread)
            beside = b"".join(record.ljust((len(record) + 7) // 8 * 8, b"\0") for record in inner.plain)
            engine.take(bytearray(beside + bytes(PADDING)), len(beside))
            yield

    def _plain(self, source: Bytes, engine: Taker, chunk_bytes: int) -> Iterator[None]:
        records = Records(source, self.order, engine, chunk_bytes)
        yield from records
        reasons = {"cut": "the last record is cut", "broken": "a record has an impossible size", "": ""}
        self.left, self.unread = records.left, reasons.get(records.why, "a record is of a kind that cannot be read")


class Unpacked:
    """A recording that was compressed as a whole (perf.data.zst), in a temporary file of its own while this lives."""

    def __init__(self, packed: Path) -> None:
        import tempfile

        import zstandard

        self.file = tempfile.NamedTemporaryFile(prefix="perf.data-")  # noqa: SIM115 - it lives as long as this
        try:
            with packed.open("rb") as file, as_host_error(Path(self.file.name)):
                source = cast(BinaryIO, _Readable(file))
                zstandard.ZstdDecompressor(max_window_size=128 << 20).copy_stream(source, self.file)
                self.file.flush()
        except zstandard.ZstdError as error:
            raise TraceError(f"the compressed recording is damaged: {error}", hint="pull or copy it again") from error
        self.path = Path(self.file.name)


class _Readable:
    """A file whose errors are those of a recording, also where what is read of it is written elsewhere meanwhile."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """As that of the file."""
        with _readable():
            return self._file.read(size)


@dataclass
class Recording:
    """What a recording says about itself, and the parts that hold its records."""

    path: Path
    header: Header
    size: int
    parts: list[Part] = field(default_factory=list)
    unpacked: Unpacked | None = None

    @property
    def missing_bytes(self) -> int:
        """Bytes of data that the header promises and the file lacks."""
        return 0 if self.header.killed else max(0, self.header.data.end - self.size)


def open_recording(path: Path, formats_from: Path | None = None) -> Recording:
    """Read the header of `path`: a file, one that zstd compressed, or a folder made by `perf record --threads`.

    `formats_from` lends its tracepoint formats where this recording has none. TraceError, with the path, where it is
    no recording.
    """
    main, unpacked = path / "data" if path.is_dir() else path, None
    with located(main):
        if _is_packed(main):
            unpacked = Unpacked(main)
            main = unpacked.path
        header, size = _header(main)
        if header.tracing is None and formats_from is not None:
            header.tracing = _lent_formats(formats_from)
            header.problems.append(f"the tracepoint formats are those of {formats_from.name}")
    order, compressed = "<" if header.little else ">", COMPRESSED in header.features
    data = Section(header.data.offset, max(0, min(header.data.size, size - header.data.offset)))
    parts = [Part(main, data, order, compressed)]
    for more in _siblings(path):
        parts.append(Part(more, Section(0, more.stat().st_size), order, compressed))
    return Recording(path, header, size, parts, unpacked)


@contextlib.contextmanager
def located(path: Path) -> Iterator[None]:
    """Puts the path before what a TraceError says about a place in it, and makes one of running out of memory."""
    try:
        with _readable():
            yield
    except MemoryError as error:
        why = f" ({error})" if str(error) else ""
        raise TraceError(
            f"there is not enough memory for this recording{why}",
            where=str(path),
            hint="`harness trace convert` needs the least: its memory does not grow with the recording",
        ) from error
    except TraceError as error:
        if not (error.where or "").startswith(str(path)):
            error.where = f"{path}: {error.where}" if error.where else str(path)
        raise


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Makes a TraceError of an OSError; whoever has a recording open for others tells those of reading from theirs."""
    try:
        yield
    except OSError as error:
        raise TraceError(f"cannot read the recording: {error.strerror or error}") from error


def _lent_formats(lender: Path) -> TracingData | None:
    return open_recording(lender).header.tracing


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _ZSTD_FRAME


def _header(path: Path) -> tuple[Header, int]:
    with path.open("rb") as file:
        size = path.stat().st_size
        header = read_header(file, size)
        if header.pipe:
            read_pipe_header(file, header, size)
        elif header.killed:
            header.features |= _compressed_feature(file, header)
        return header, size


def _compressed_feature(file: BinaryIO, header: Header) -> set[int]:
    """A killed recorder leaves no list of features: whether it compressed shows in the records themselves."""
    probe = _Probe("<" if header.little else ">")
    for _ in Records(FileBytes(file, header.data), probe.order, probe):
        pass
    return {COMPRESSED} if probe.found in _COMPRESSED_RECORDS else set()


class _Probe:
    """Walks to the first record that is a sample or compressed; `found` is its type."""

    def __init__(self, order: str) -> None:
        self.order, self.found = order, 0
        self._left = 1_000_000  # records; before the first sample there are a few for every task that runs

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """See `Engine.take`."""
        at = 0
        while at + 8 <= size and self._left:
            kind, _, length = struct.unpack_from(self.order + "IHH", buffer, at)
            if kind == _SAMPLE or kind in _COMPRESSED_RECORDS or length < 8:
                self.found, self._left = kind, 0
            elif kind in APART or length % 8:
                return at, "apart"
            elif at + length > size:
                break
            else:
                at, self._left = at + length, self._left - 1
        return at, "cut" if self._left else "broken"


def _siblings(path: Path) -> list[Path]:
    """data.0, data.1, ... of a folder, in the order of their numbers."""
    if not path.is_dir():
        return []
    found = [part for part in path.iterdir() if part.name.startswith("data.") and part.name[5:].isdecimal()]
    return sorted(found, key=lambda part: int(part.name[5:]))

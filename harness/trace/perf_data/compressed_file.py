"""A recording that was compressed as a whole (perf.data.zst, .gz, .xz, .bz2, .zip), unpacked into a temporary file.

`file_kind.compression_of` knows the kind. What can be unpacked of a cut or damaged file is kept.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from harness.counted import counted
from harness.errors import HostError, TraceError
from harness.files import NO_SPACE
from harness.trace.perf_data.compressed_records import MAX_RATIO, MAX_WINDOW, SMALL_BYTES
from harness.trace.perf_data.file_kind import HEAD_BYTES, compression_of, refuse_foreign
from harness.trace.perf_data.records import as_trace_error

_BLOCK_BYTES = 1 << 20  # unpacked at a time
_STREAM_INPUT_BYTES = 1 << 13  # of xz and bzip2; what became of these is lost where they are damaged
_ZSTD_INPUT_BYTES, _DEFLATE_INPUT_BYTES = 1024, 1 << 14  # they become at most 32 and 16 MB, in a forged file
_CHECKED_BYTES = 64 << 20  # unpacked between two looks at the free space
_FREE_BYTES = 256 << 20  # stay free on the disk
_MAC_LEFTOVERS = ("__MACOSX/", ".DS_Store")  # what macOS adds to an archive
_ZIP_HEADER = struct.Struct("<4s5H3I2H")  # of a member: flags and method come third and fourth, sizes of texts last
_ZIP_DAMAGE = (ValueError, IndexError, RuntimeError, struct.error)  # what zipfile raises beside its own
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, zstandard.ZstdError, NotImplementedError)


class _Stream(Protocol):
    """A decompressor of one stream of xz or bzip2."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether it has no more output of what it was given."""

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""


class DecompressedFile:
    """The contents of the compressed file `packed`, in a temporary file that lives as long as this object.

    The file is in no folder, so that a kill leaves nothing of it; `path` opens it through this process's descriptor.
    `failure` is the reason for an early end; empty for a whole file. Raises TraceError where nothing can be unpacked,
    or no recording, or too much; HostError where the disk has no room.
    """

    def __init__(self, packed: Path, file: BinaryIO, kind: str) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        self.path = Path(f"/proc/self/fd/{self.file.fileno()}")
        self.kind, self.failure, self._size = kind, "", 0
        self._packed, self._packed_bytes = packed, packed.stat().st_size
        with as_trace_error():
            try:
                for piece in _PIECES[kind](file):
                    self._write(piece)
            except _DAMAGE as error:
                self.failure = _reason(error)
            except OSError as error:
                if error.errno is not None:
                    raise
                self.failure = f"is damaged: {error}"  # which gzip and bz2 say in this way
        with self._no_space_named():
            self.file.flush()
        if not self._size:
            raise TraceError(
                f"nothing can be unpacked from this {kind} file: it {self.failure or 'holds nothing'}",
                hint="copy or record it again",
            )

    def _write(self, piece: bytes) -> None:
        """Add a piece. The first ones tell whether this is a recording at all."""
        before, self._size = self._size, self._size + len(piece)
        self._check_size()
        if before // _CHECKED_BYTES != self._size // _CHECKED_BYTES:
            self._check_room()
        with self._no_space_named():
            self.file.write(piece)
        if before < HEAD_BYTES <= self._size:
            self.file.seek(0)
            refuse_foreign(self.file.read(HEAD_BYTES))
            self.file.seek(self._size)

    def _check_size(self) -> None:
        if self._size > max(SMALL_BYTES, MAX_RATIO * self._packed_bytes):
            raise TraceError(
                f"this {self.kind} file unpacks to more than {MAX_RATIO} times its size",
                expected="a recording, which shrinks to about a tenth",
                hint="if you trust it, unpack it yourself and give the unpacked file",
            )

    def _check_room(self) -> None:
        if shutil.disk_usage(tempfile.gettempdir()).free < _FREE_BYTES + _CHECKED_BYTES:
            raise self._no_room()

    @contextmanager
    def _no_space_named(self) -> Iterator[None]:
        """An OSError of writing is one of this disk, not of the recording."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_SPACE:
                raise self._no_room() from error
            raise HostError(f"the recording cannot be unpacked: {error.strerror}", where=str(self._packed)) from error

    def _no_room(self) -> HostError:
        return HostError(
            f"the disk is too full to unpack the recording in {tempfile.gettempdir()}",
            where=str(self._packed),
            expected=f"more than {self._size / 1e6:.0f} MB, and {_FREE_BYTES / 1e6:.0f} MB that stay free",
            hint="free some space, or name another folder in the environment variable TMPDIR",
        )


def unpacked_start(file: BinaryIO, kind: str) -> bytes:
    """Return the first bytes of what is packed; none where nothing can be unpacked."""
    file.seek(0)
    try:
        return next((piece[:HEAD_BYTES] for piece in _PIECES[kind](file) if piece), b"")
    except (*_DAMAGE, OSError, TraceError):
        return b""


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "is cut"
    if isinstance(error, NotImplementedError) or "memory" in str(error):  # an unknown method, a very large window
        return f"is compressed in a way that is not read here ({error}); unpack it yourself"
    return f"is damaged: {error}"


def _stream_pieces(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what one of the standard library's streams unpacks; read1 keeps what comes before an error."""
    while piece := stream.read1(_BLOCK_BYTES):  # type: ignore[attr-defined]
        yield piece


def _zstd_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the contents of one frame after the other."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    frame, rest = decompressor.decompressobj(), b""
    ended = True
    while data := rest or file.read(_ZSTD_INPUT_BYTES):
        yield frame.decompress(data)
        rest, ended = frame.unused_data, frame.eof
        if ended:
            frame = decompressor.decompressobj()
    if not ended:
        raise EOFError


def _padded_pieces(file: BinaryIO, kind: str, new_stream: Callable[[], _Stream], padding_unit: int) -> Iterator[bytes]:
    """Yield the contents of one stream of xz or bzip2 after the other; zeros may follow each.

    The standard library's LZMAFile and BZ2File end without a word where something else follows a stream.
    """
    rest = file.read(_STREAM_INPUT_BYTES)
    while rest:
        stream = new_stream()
        while not stream.eof:
            if stream.needs_input:
                rest = rest or file.read(_STREAM_INPUT_BYTES)
                if not rest:
                    raise EOFError
            yield stream.decompress(rest, _BLOCK_BYTES)
            rest = b""
        rest = _after_padding(stream.unused_data, file, padding_unit)
        if rest and compression_of(rest) != kind:
            raise lzma.LZMAError("other bytes follow its contents")


def _after_padding(rest: bytes, file: BinaryIO, padding_unit: int) -> bytes:
    """Return the first bytes (6 or more, if there are as many) of what follows the zeros after a stream."""
    padding = 0
    while rest := rest or file.read(_STREAM_INPUT_BYTES):
        stream = rest.lstrip(b"\0")
        padding += len(rest) - len(stream)
        rest = stream
        if stream:
            break
    if padding % padding_unit:
        raise lzma.LZMAError(f"{counted(padding, 'zero')} follow its contents, no multiple of {padding_unit}")
    return rest + file.read(6) if rest else rest


def _zip_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the contents of the only file in an archive."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        yield from _cut_zip_pieces(file)
        return
    except _ZIP_DAMAGE as error:
        raise zipfile.BadZipFile(str(error)) from error
    try:
        with archive, archive.open(_only_member(archive)) as member:
            yield from _stream_pieces(member)  # type: ignore[arg-type]
    except NotImplementedError:
        raise
    except _ZIP_DAMAGE as error:
        raise zipfile.BadZipFile(str(error)) from error


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith(_MAC_LEFTOVERS[0])
        and not member.filename.endswith(_MAC_LEFTOVERS[1])
    ]  # fmt: skip
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:10]) + (", ..." if len(members) > 10 else "")
        raise TraceError(
            f"this zip archive holds {len(members)} files{': ' if names else ''}{names}",
            expected="one file, a recording",
            hint="unpack it with `unzip`, and give the recording",
        )
    if members[0].flag_bits & 1:
        raise TraceError(f"{members[0].filename} in this zip archive is encrypted", hint="unpack it with `unzip`")
    return members[0]


def _cut_zip_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield what is left of the first file of an archive whose end, where its table of contents was, is missing."""
    file.seek(0)
    header = file.read(_ZIP_HEADER.size)
    if len(header) == _ZIP_HEADER.size:
        _magic, _version, flags, method, *_others, name_bytes, extra_bytes = _ZIP_HEADER.unpack(header)
        file.seek(name_bytes + extra_bytes, 1)
        if method == zipfile.ZIP_DEFLATED and not flags & 1:
            stream = zlib.decompressobj(-zlib.MAX_WBITS)
            while not stream.eof and (data := file.read(_DEFLATE_INPUT_BYTES)):
                yield stream.decompress(data)
    raise EOFError


_PIECES: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "zstd": _zstd_pieces,
    "gzip": lambda file: _stream_pieces(gzip.GzipFile(fileobj=file)),  # type: ignore[arg-type]
    "xz": lambda file: _padded_pieces(file, "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), 4),
    "bzip2": lambda file: _padded_pieces(file, "bzip2", bz2.BZ2Decompressor, 1),
    "zip": _zip_pieces,
}

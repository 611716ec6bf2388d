"""The header of a seekable perf.data file: which events, how they are recognised, and what perf noted beside them.

Layout: tools/perf/Documentation/perf.data-file-format.txt in the kernel's sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data.attr import Attr, parse_attr
from harness.trace.perf_data.cursor import Cursor
from harness.trace.perf_data.tracing_data import TracingData, parse_tracing_data

MAGIC_LITTLE, MAGIC_BIG = b"PERFILE2", b"2ELIFREP"
PIPE_HEADER_SIZE = 16
_FILE_HEADER_SIZE = 104
_MAX_PART = 64 << 20  # bytes of one header section; real ones are under 1 MB
MAX_ATTRS, _MAX_IDS = 4096, 1 << 18  # one id per event and CPU

TRACING_DATA, HOSTNAME, OSRELEASE, VERSION, ARCH, NRCPUS, CPUDESC = 1, 3, 4, 5, 6, 7, 8
CMDLINE, EVENT_DESC, SAMPLE_TIME, DIR_FORMAT, COMPRESSED = 11, 12, 21, 24, 27
_TEXTS = {HOSTNAME: "hostname", OSRELEASE: "os_release", VERSION: "perf_version", ARCH: "arch", CPUDESC: "cpu_desc"}


@dataclass(frozen=True)
class Section:
    """A part of the file, in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """First byte after it."""
        return self.offset + self.size


@dataclass
class Header:
    """What perf wrote about a recording; empty or None where it did not.

    `ids` maps a sample's id to its place in `attrs`; `names` holds `system:event` per attr where known;
    `sample_time_ns` is the first and last time perf saw.
    """

    little: bool = True
    pipe: bool = False
    attrs: list[Attr] = field(default_factory=list)
    ids: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    data: Section = Section(0, 0)
    features: set[int] = field(default_factory=set)
    tracing: TracingData | None = None
    hostname: str | None = None
    os_release: str | None = None
    perf_version: str | None = None
    arch: str | None = None
    cpu_desc: str | None = None
    nrcpus: int | None = None
    cmdline: list[str] = field(default_factory=list)
    sample_time_ns: tuple[int, int] | None = None
    captured_s: float | None = None
    killed: bool = False
    problems: list[str] = field(default_factory=list)


def byte_order(start: bytes) -> bool:
    """Whether a file that begins so is little-endian. TraceError where it is no perf.data at all."""
    if start[:8] == MAGIC_LITTLE:
        return True
    if start[:8] == MAGIC_BIG:
        return False
    raise TraceError(
        "this is no perf.data file",
        where="offset 0",
        expected=f"the magic PERFILE2, found {start[:8]!r}",
        hint="record one with `perf sched record -o perf.data`",
    )


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the header of `file` (a seekable file of `size` bytes).

    What is missing at the end of a cut or killed file is noted in `problems`. TraceError where nothing can be made
    of the rest: no magic, no attrs, an attr too short.
    """
    start = _part(file, Section(0, min(size, _FILE_HEADER_SIZE)), size)
    little = byte_order(start)
    cursor = Cursor(start, 8, little=little, what="the file header")
    header_size = cursor.u64()
    if header_size == PIPE_HEADER_SIZE:
        return Header(little, pipe=True, data=Section(PIPE_HEADER_SIZE, size - PIPE_HEADER_SIZE))
    if header_size != _FILE_HEADER_SIZE:
        raise TraceError(f"the file header says it has {header_size} bytes", expected="104, or 16 for a pipe's")
    attr_size, attrs, data, _types = cursor.u64(), _section(cursor), _section(cursor), _section(cursor)
    header = Header(little, data=data, features=_bits(cursor.unpack("4Q")))
    header.killed = data.size == 0
    _read_attrs(file, size, header, attrs, attr_size)
    if header.killed:
        header.data = Section(data.offset, max(0, size - data.offset))
        header.features = set()  # the table is written last, by a recorder that lives to its end
    _read_features(file, size, header)
    return header


def _section(cursor: Cursor) -> Section:
    return Section(cursor.u64(), cursor.u64())


def _bits(words: tuple[int, ...]) -> set[int]:
    return {64 * place + bit for place, word in enumerate(words) for bit in range(64) if word >> bit & 1}


def _part(file: BinaryIO, section: Section, file_size: int) -> bytes:
    if section.end > file_size or section.size > _MAX_PART:
        raise TraceError(
            f"a part of the header lies outside the file: {section.size} bytes at {section.offset} of {file_size}"
        )
    file.seek(section.offset)
    return file.read(section.size)


def _read_attrs(file: BinaryIO, size: int, header: Header, attrs: Section, attr_size: int) -> None:
    if not 64 <= attr_size <= 4096 or attrs.size % attr_size or not 0 < attrs.size <= attr_size * MAX_ATTRS:
        raise TraceError(f"the attr section of {attrs.size} bytes does not hold attrs of {attr_size} bytes")
    table = _part(file, attrs, size)
    for start in range(0, len(table), attr_size):
        entry = table[start : start + attr_size]
        header.attrs.append(parse_attr(entry[:-16], header.little))
        ids = _section(Cursor(entry, attr_size - 16, little=header.little))
        add_ids(header, _part(file, Section(ids.offset, ids.size // 8 * 8), size), len(header.attrs) - 1)


def add_ids(header: Header, packed: bytes, place: int) -> None:
    """Note that samples with these ids (packed u64) are of the attr at `place`. TraceError where they are too many."""
    packed = packed[: len(packed) // 8 * 8]
    if len(header.ids) + len(packed) // 8 > _MAX_IDS:
        raise TraceError(f"the header claims more than {_MAX_IDS} event ids")
    for number in Cursor(packed, little=header.little).unpack(f"{len(packed) // 8}Q"):
        header.ids[number] = place


def _read_features(file: BinaryIO, size: int, header: Header) -> None:
    """The table after the data: one {offset, size} per bit that is set, in the order of the bits."""
    for place, number in enumerate(sorted(header.features)):
        try:
            entry = _part(file, Section(header.data.end + 16 * place, 16), size)
            section = _section(Cursor(entry, little=header.little))
            if number in READERS:
                apply_feature(header, number, _part(file, section, size))
        except TraceError as error:
            header.problems.append(f"feature {number} cannot be read: {error.what}")


def apply_feature(header: Header, number: int, data: bytes) -> None:
    """Read one feature into the header; features this reader has no use for are passed over."""
    if number in READERS:
        READERS[number](header, Cursor(data, little=header.little, what=f"feature {number}"))


def _text(name: str) -> Callable[[Header, Cursor], None]:
    return lambda header, cursor: setattr(header, name, cursor.counted_text().decode("utf-8", "replace"))


def _tracing(header: Header, cursor: Cursor) -> None:
    header.tracing = parse_tracing_data(cursor.data)


def _nrcpus(header: Header, cursor: Cursor) -> None:
    _configured, header.nrcpus = cursor.unpack("II")


def _cmdline(header: Header, cursor: Cursor) -> None:
    count = cursor.u32()
    header.cmdline = [cursor.counted_text().decode("utf-8", "backslashreplace") for _ in range(min(count, 4096))]


def _event_desc(header: Header, cursor: Cursor) -> None:
    """Names of events, in the order of the attrs, and their ids once more."""
    count, attr_size = cursor.unpack("II")
    for place in range(min(count, len(header.attrs))):
        cursor.take(attr_size)
        ids = cursor.u32()
        header.names[place] = cursor.counted_text().decode("utf-8", "replace")
        for number in Cursor(cursor.take(8 * ids), little=header.little).unpack(f"{ids}Q"):
            header.ids.setdefault(number, place)


def _sample_time(header: Header, cursor: Cursor) -> None:
    first, last = cursor.unpack("QQ")
    header.sample_time_ns = (first, last)


READERS: dict[int, Callable[[Header, Cursor], None]] = {
    **{number: _text(name) for number, name in _TEXTS.items()},
    TRACING_DATA: _tracing,
    NRCPUS: _nrcpus,
    CMDLINE: _cmdline,
    EVENT_DESC: _event_desc,
    SAMPLE_TIME: _sample_time,
}

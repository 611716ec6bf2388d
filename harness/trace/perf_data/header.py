"""The header of a seekable perf.data file: the recorded events, the ids of their samples, and facts about the machine.

Layout: tools/perf/Documentation/perf.data-file-format.txt in the kernel's sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data import constants as perf
from harness.trace.perf_data.attr import Attr, parse_attr
from harness.trace.perf_data.cursor import Cursor
from harness.trace.perf_data.file_kind import HEAD_BYTES, MAGIC_LITTLE, refuse_foreign
from harness.trace.perf_data.tracing_data import parse_tracing_data
from harness.trace.tracepoint.format import TracepointFormat

_PIPE_HEADER_SIZE, _FILE_HEADER_SIZE = 16, 104
_MAX_SECTION = 64 << 20  # bytes of one header section; real ones are under 1 MB
MAX_ATTRS, _MAX_IDS = 4096, 1 << 18  # one id per event and CPU


@dataclass(frozen=True)
class Section:
    """A part of the file: its offset and size in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """First byte after it."""
        return self.offset + self.size


@dataclass
class Header:
    """Everything that perf wrote about a recording; empty or None for what it did not write.

    `ids` maps a sample's id to an index in `attrs`; `names` maps that index to `system:event`, where known; `targets`
    has the tids that the events were opened on, -1 for whatever runs on a CPU; `formats` maps a tracepoint's id
    (common_type) to its format. `killed`: perf was killed before it could finish the header.
    `problems` describes the parts that could not be read. `end`: where the last part of a seekable file ends, in bytes.
    """

    little: bool = True
    pipe: bool = False
    attrs: list[Attr] = field(default_factory=list)
    ids: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    targets: set[int] = field(default_factory=set)
    data: Section = Section(0, 0)
    features: set[int] = field(default_factory=set)
    formats: dict[int, TracepointFormat] | None = None
    hostname: str | None = None
    os_release: str | None = None
    perf_version: str | None = None
    arch: str | None = None
    cpu_desc: str | None = None
    nrcpus: int | None = None
    cmdline: list[str] = field(default_factory=list)
    sample_time_ns: tuple[int, int] | None = None  # of the first and the last sample
    clock_offset_ns: int | None = None  # time of day (since 1970) minus the clock of the samples
    killed: bool = False
    end: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def order(self) -> str:
        """The byte order, as `struct` and numpy write it."""
        return "<" if self.little else ">"


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the header of `file`, a seekable file of `size` bytes.

    Parts that are missing at the end of a cut or killed file are noted in `problems`. Raises TraceError for a file that
    cannot be read at all: one without the magic, without attrs, or with an attr that is too short.
    """
    start = _read_section(file, Section(0, min(size, HEAD_BYTES)), size)
    refuse_foreign(start)
    little = start.startswith(MAGIC_LITTLE)
    cursor = Cursor(start, 8, little=little, name="the file header")
    header_size = cursor.u64() if size >= _PIPE_HEADER_SIZE else _FILE_HEADER_SIZE
    if size < header_size <= _FILE_HEADER_SIZE:
        raise TraceError(f"the file is cut in its header, after {size} bytes", hint="copy or record it again")
    if header_size == _PIPE_HEADER_SIZE:
        return Header(little, pipe=True, data=Section(_PIPE_HEADER_SIZE, size - _PIPE_HEADER_SIZE))
    if header_size != _FILE_HEADER_SIZE:
        raise TraceError(f"the file header says it has {header_size} bytes", expected="104, or 16 for a pipe's")
    attr_size, attrs, data, _types = cursor.u64(), _section(cursor), _section(cursor), _section(cursor)
    header = Header(little, data=data, features=_set_bits(cursor.unpack("4Q")))
    header.killed = data.size == 0
    _read_attrs(file, size, header, attrs, attr_size)
    if header.killed:
        header.data = Section(data.offset, max(0, size - data.offset))
        header.features = set()  # perf writes the table of features last
    _read_features(file, size, header)
    return header


def _section(cursor: Cursor) -> Section:
    return Section(cursor.u64(), cursor.u64())


def _set_bits(words: tuple[int, ...]) -> set[int]:
    return {64 * index + bit for index, word in enumerate(words) for bit in range(64) if word >> bit & 1}


def _read_section(file: BinaryIO, section: Section, file_size: int) -> bytes:
    if section.end > file_size or section.size > _MAX_SECTION:
        raise TraceError(
            f"the file ends before a part of its header: {section.size} bytes at {section.offset} of {file_size}"
        )
    file.seek(section.offset)
    return file.read(section.size)


def _read_attrs(file: BinaryIO, size: int, header: Header, attrs: Section, attr_size: int) -> None:
    if not 64 <= attr_size <= 4096 or attrs.size % attr_size or not 0 < attrs.size <= attr_size * MAX_ATTRS:
        raise TraceError(f"the attr section of {attrs.size} bytes does not hold attrs of {attr_size} bytes")
    table = _read_section(file, attrs, size)
    for start in range(0, len(table), attr_size):
        entry = table[start : start + attr_size]
        header.attrs.append(parse_attr(entry[:-16], header.little))
        ids = _section(Cursor(entry, attr_size - 16, little=header.little))
        add_ids(header, _read_section(file, Section(ids.offset, ids.size // 8 * 8), size), len(header.attrs) - 1)


def add_ids(header: Header, packed: bytes, attr: int) -> None:
    """Map these sample ids (packed u64) to the attr with index `attr`. Raises TraceError for too many ids."""
    packed = packed[: len(packed) // 8 * 8]
    if len(header.ids) + len(packed) // 8 > _MAX_IDS:
        raise TraceError(f"the header claims more than {_MAX_IDS} event ids")
    for sample_id in Cursor(packed, little=header.little).unpack(f"{len(packed) // 8}Q"):
        header.ids[sample_id] = attr


def _read_features(file: BinaryIO, size: int, header: Header) -> None:
    """Read the table after the data: one {offset, size} per bit that is set, in the order of the bits."""
    header.end = header.data.end + 16 * len(header.features)
    for index, feature in enumerate(sorted(header.features)):
        try:
            entry = _read_section(file, Section(header.data.end + 16 * index, 16), size)
            section = _section(Cursor(entry, little=header.little))
            header.end = max(header.end, section.end)
            if feature in _READERS:
                apply_feature(header, feature, _read_section(file, section, size))
        except TraceError as error:
            note_unreadable(header, feature, error)


def apply_feature(header: Header, feature: int, data: bytes) -> None:
    """Read one feature into the header; skip a feature that this reader does not use."""
    if feature in _READERS:
        _READERS[feature](header, Cursor(data, little=header.little, name=f"feature {feature}"))


def note_unreadable(header: Header, feature: int, error: TraceError) -> None:
    """Add to the header's problems that a feature could not be read."""
    header.problems.append(f"feature {feature} cannot be read: {error.what}")


def _text_reader(name: str) -> Callable[[Header, Cursor], None]:
    return lambda header, cursor: setattr(header, name, cursor.counted_text().decode("utf-8", "replace"))


def _read_formats(header: Header, cursor: Cursor) -> None:
    header.formats = parse_tracing_data(cursor.data)


def _read_nrcpus(header: Header, cursor: Cursor) -> None:
    _configured, header.nrcpus = cursor.unpack("II")


def _read_cmdline(header: Header, cursor: Cursor) -> None:
    count = cursor.u32()
    header.cmdline = [cursor.counted_text().decode("utf-8", "backslashreplace") for _ in range(min(count, 4096))]


def _read_event_desc(header: Header, cursor: Cursor) -> None:
    """Read the names of the events, in the order of the attrs, and their ids, which the attr section has too."""
    count, attr_size = cursor.unpack("II")
    for attr in range(min(count, len(header.attrs))):
        cursor.take(attr_size)
        ids = cursor.u32()
        header.names[attr] = cursor.counted_text().decode("utf-8", "replace")
        for sample_id in Cursor(cursor.take(8 * ids), little=header.little).unpack(f"{ids}Q"):
            header.ids.setdefault(sample_id, attr)


def _read_sample_time(header: Header, cursor: Cursor) -> None:
    first, last = cursor.unpack("QQ")
    header.sample_time_ns = (first, last)


def _read_clock_data(header: Header, cursor: Cursor) -> None:
    """Read the time of day and the time of the samples' clock at one moment."""
    _version, _clockid, wall_ns, clock_ns = cursor.unpack("IIQQ")
    header.clock_offset_ns = wall_ns - clock_ns


_READERS: dict[int, Callable[[Header, Cursor], None]] = {
    perf.HEADER_TRACING_DATA: _read_formats,
    perf.HEADER_HOSTNAME: _text_reader("hostname"),
    perf.HEADER_OSRELEASE: _text_reader("os_release"),
    perf.HEADER_VERSION: _text_reader("perf_version"),
    perf.HEADER_ARCH: _text_reader("arch"),
    perf.HEADER_NRCPUS: _read_nrcpus,
    perf.HEADER_CPUDESC: _text_reader("cpu_desc"),
    perf.HEADER_CMDLINE: _read_cmdline,
    perf.HEADER_EVENT_DESC: _read_event_desc,
    perf.HEADER_SAMPLE_TIME: _read_sample_time,
    perf.HEADER_CLOCK_DATA: _read_clock_data,
}

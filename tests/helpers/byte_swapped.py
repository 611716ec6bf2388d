"""A recording as a big-endian machine would have written it, made of a real one from a little-endian machine.

Kept are the samples, the records of the events' ids, and the parts of the header that this project reads. Samples with
callchains or READ are not known.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from harness.trace.perf_data.recording import open_recording
from harness.trace.tracepoint.format import TracepointFormat

_SAMPLE, _ID_INDEX = 9, 69  # types of records
_TRACING_DATA, _EVENT_DESC = 1, 12  # numbers of features
_PAIRS = (1 << 1, 1 << 7)  # sample_type: TID and CPU are two u32, other parts a u64
_PARTS = (1 << 16, 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 6, 1 << 9, 1 << 7, 1 << 8)  # in the order of the kernel
_ATTR = "IIQQQQ8sIIQQQQIiQIHHII"  # perf_event_attr up to 120 bytes; 8s are its flags
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def byte_swapped(path: Path) -> bytes:
    """Return the recording at `path`, a seekable one, in big-endian order."""
    whole, header = path.read_bytes(), open_recording(path).header
    assert header.little
    assert header.formats
    attrs, ids = _attrs(whole)
    data = _samples(whole[header.data.offset : header.data.end], header.attrs[0].sample_type, header.formats)
    features = {number: _feature(number, content) for number, content in _features(whole).items() if number in _KEPT}
    at = 104 + len(ids) + len(attrs)
    entry_size = struct.unpack_from("<Q", whole, 16)[0]
    bits = [sum(1 << number - 64 * word for number in features if number // 64 == word) for word in range(4)]
    start = struct.pack(">8s8Q4Q", b"2ELIFREP", 104, entry_size, 104 + len(ids), len(attrs), at, len(data), 0, 0, *bits)
    return start + ids + attrs + data + _table(at + len(data), features)


def _attrs(whole: bytes) -> tuple[bytes, bytes]:
    """Return the attr section, and the ids, which are placed right after the header."""
    entry_size, offset, size = struct.unpack_from("<QQQ", whole, 16)
    attrs = ids = b""
    for start in range(offset, offset + size, entry_size):
        entry = whole[start : start + entry_size]
        ids_at, ids_size = struct.unpack_from("<QQ", entry, entry_size - 16)
        attrs += _attr(entry[:-16]) + struct.pack(">QQ", 104 + len(ids), ids_size)
        ids += _words(whole[ids_at : ids_at + ids_size])
    return attrs, ids


def _attr(attr: bytes) -> bytes:
    known = struct.calcsize("<" + _ATTR)
    fields = list(struct.unpack_from("<" + _ATTR, attr))
    fields[6] = fields[6].translate(_MIRRORED)
    return struct.pack(">" + _ATTR, *fields) + _words(attr[known:])


def _words(data: bytes) -> bytes:
    return struct.pack(f">{len(data) // 8}Q", *struct.unpack(f"<{len(data) // 8}Q", data))


def _samples(data: bytes, sample_type: int, formats: dict[int, TracepointFormat]) -> bytes:
    swapped, offset = b"", 0
    while offset < len(data):
        kind, misc, size = struct.unpack_from("<IHH", data, offset)
        body = data[offset + 8 : offset + size]
        if kind == _SAMPLE:
            swapped += struct.pack(">IHH", kind, misc, size) + _sample(body, sample_type, formats)
        if kind == _ID_INDEX:
            swapped += struct.pack(">IHH", kind, misc, size) + _words(body)
        offset += size
    return swapped


def _sample(body: bytes, sample_type: int, formats: dict[int, TracepointFormat]) -> bytes:
    swapped = b""
    for part in _PARTS:
        if sample_type & part:
            layout = "II" if part in _PAIRS else "Q"
            swapped += struct.pack(">" + layout, *struct.unpack_from("<" + layout, body, len(swapped)))
    size = struct.unpack_from("<I", body, len(swapped))[0]
    raw = bytearray(body[len(swapped) + 4 :])
    for field in formats[struct.unpack_from("<H", raw)[0]].fields.values():
        if field.kind != "chars":
            raw[field.offset : field.offset + field.size] = raw[field.offset : field.offset + field.size][::-1]
    return swapped + struct.pack(">I", size) + bytes(raw)


def _features(whole: bytes) -> dict[int, bytes]:
    offset, size = struct.unpack_from("<QQ", whole, 40)
    bits = int.from_bytes(whole[72:104], "little")
    numbers = [number for number in range(256) if bits >> number & 1]
    places = [struct.unpack_from("<QQ", whole, offset + size + 16 * index) for index in range(len(numbers))]
    return {number: whole[at : at + length] for number, (at, length) in zip(numbers, places, strict=True)}


def _table(at: int, features: dict[int, bytes]) -> bytes:
    table, bodies, at = b"", b"", at + 16 * len(features)
    for number in sorted(features):
        table += struct.pack(">QQ", at + len(bodies), len(features[number]))
        bodies += features[number]
    return table + bodies


class _Reader:
    """Reads little-endian values one after the other, and collects them in big-endian order."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.swapped = data, 0, b""

    def number(self, layout: str) -> int:
        value = struct.unpack_from("<" + layout, self.data, self.at)[0]
        self.swapped += struct.pack(">" + layout, value)
        self.at += struct.calcsize("<" + layout)
        return int(value)

    def copy(self, size: int) -> bytes:
        content = self.data[self.at : self.at + size]
        self.swapped += content
        self.at += size
        return content

    def text(self) -> None:
        self.copy(self.data.index(b"\0", self.at) + 1 - self.at)


def _feature(number: int, content: bytes) -> bytes:
    reader = _Reader(content)
    _KEPT[number](reader)
    return reader.swapped


def _counted_text(reader: _Reader) -> None:
    reader.copy(reader.number("I"))


def _counted_texts(reader: _Reader) -> None:
    for _ in range(reader.number("I")):
        _counted_text(reader)


def _two(layout: str) -> Callable[[_Reader], object]:
    return lambda reader: (reader.number(layout), reader.number(layout))


def _event_desc(reader: _Reader) -> None:
    count, attr_size = reader.number("I"), reader.number("I")
    for _ in range(count):
        reader.swapped += _attr(reader.data[reader.at : reader.at + attr_size])
        reader.at += attr_size
        ids = reader.number("I")
        _counted_text(reader)
        for _ in range(ids):
            reader.number("Q")


def _tracing_data(reader: _Reader) -> None:
    reader.copy(10)
    reader.text()
    reader.at += 1
    reader.swapped += b"\1"  # big-endian
    reader.copy(1)
    reader.number("I")
    for _ in ("header_page", "header_event"):
        reader.text()
        reader.copy(reader.number("Q"))
    for _ in range(reader.number("I")):
        reader.copy(reader.number("Q"))
    for _ in range(reader.number("I")):
        reader.text()
        for _ in range(reader.number("I")):
            reader.copy(reader.number("Q"))
    reader.copy(reader.number("I"))  # symbols
    reader.copy(reader.number("I"))  # print formats
    if reader.at < len(reader.data):
        reader.copy(reader.number("Q"))  # saved names of tasks


_KEPT: dict[int, Callable[[_Reader], object]] = {
    _TRACING_DATA: _tracing_data,
    3: _counted_text,
    4: _counted_text,
    5: _counted_text,
    6: _counted_text,
    7: _two("I"),
    8: _counted_text,
    11: _counted_texts,
    _EVENT_DESC: _event_desc,
    21: _two("Q"),
}

"""Makes short recordings of long ones, which are quick to mutate and have every part, and long ones of short ones."""

from __future__ import annotations

import struct

DATA_OFFSET, DATA_SIZE = 40, 48  # byte addresses of the data section's offset and size in the file header
_FEATURES, _HEADER = 72, 104
_SAMPLE = struct.pack("<I", 9)


class ShortRepr(bytes):
    """Bytes that a failing test prints as one short line."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def count_records(whole: bytes) -> int:
    """Return the number of records of a seekable recording."""
    place, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    end, count = place + size, 0
    while place < end:
        place, count = place + struct.unpack_from("<H", whole, place + 6)[0], count + 1
    return count


def shortened(whole: bytes, records: int = 60) -> ShortRepr:
    """Return a seekable recording of the first records, with everything after them moved up."""
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    end = offset
    for _ in range(records):
        end += struct.unpack_from("<H", whole, end + 6)[0]
    count = sum(byte.bit_count() for byte in whole[_FEATURES:_HEADER])
    table, removed = offset + size, offset + size - end
    entries = [struct.unpack_from("<QQ", whole, table + 16 * index) for index in range(count)]
    moved = b"".join(struct.pack("<QQ", start - removed, length) for start, length in entries)
    header = bytearray(whole[:end])
    struct.pack_into("<Q", header, DATA_SIZE, end - offset)
    return ShortRepr(bytes(header) + moved + whole[table + 16 * count :])


def repeated(whole: bytes, times: int) -> bytes:
    """Return a seekable recording with all records repeated `times` times."""
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    count, table, added = sum(byte.bit_count() for byte in whole[_FEATURES:_HEADER]), offset + size, (times - 1) * size
    entries = [struct.unpack_from("<QQ", whole, table + 16 * index) for index in range(count)]
    moved = b"".join(struct.pack("<QQ", start + added, length) for start, length in entries)
    header = bytearray(whole[:offset])
    struct.pack_into("<Q", header, DATA_SIZE, times * size)
    return bytes(header) + whole[offset:table] * times + moved + whole[table + 16 * count :]


def shortened_pipe(whole: bytes, size: int = 20_000) -> ShortRepr:
    """Return a recording from a pipe up to `size` bytes after its first sample."""
    return ShortRepr(whole[: whole.index(_SAMPLE, whole.index(b"sched_switch")) + size])

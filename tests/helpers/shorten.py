"""Makes short recordings of long ones, quick to mutate, with every part in them; and long ones of short ones."""

from __future__ import annotations

import struct

DATA_OFFSET, DATA_SIZE = 40, 48  # byte addresses of the data section's offset and size in the file header
_FEATURES, _HEADER = 72, 104
_SAMPLE = struct.pack("<I", 9)


class Named(bytes):
    """Bytes whose name is short, for the messages of failing tests."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def shortened(whole: bytes, records: int = 60) -> Named:
    """A seekable recording with its first records only, and all that stands behind them moved up."""
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    end = offset
    for _ in range(records):
        end += struct.unpack_from("<H", whole, end + 6)[0]
    count = sum(byte.bit_count() for byte in whole[_FEATURES:_HEADER])
    table, removed = offset + size, offset + size - end
    entries = [struct.unpack_from("<QQ", whole, table + 16 * place) for place in range(count)]
    moved = b"".join(struct.pack("<QQ", start - removed, length) for start, length in entries)
    header = bytearray(whole[:end])
    struct.pack_into("<Q", header, DATA_SIZE, end - offset)
    return Named(bytes(header) + moved + whole[table + 16 * count :])


def repeated(whole: bytes, times: int) -> bytes:
    """A seekable recording with all of its records `times` times."""
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    count, table, added = sum(byte.bit_count() for byte in whole[_FEATURES:_HEADER]), offset + size, (times - 1) * size
    entries = [struct.unpack_from("<QQ", whole, table + 16 * place) for place in range(count)]
    moved = b"".join(struct.pack("<QQ", start + added, length) for start, length in entries)
    header = bytearray(whole[:offset])
    struct.pack_into("<Q", header, DATA_SIZE, times * size)
    return bytes(header) + whole[offset:table] * times + moved + whole[table + 16 * count :]


def shortened_pipe(whole: bytes, size: int = 20_000) -> Named:
    """A recording from a pipe up to `size` bytes behind its first sample."""
    return Named(whole[: whole.index(_SAMPLE, whole.index(b"sched_switch")) + size])

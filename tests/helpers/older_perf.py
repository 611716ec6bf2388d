"""A recording as an older perf would have written it: older perf refuses a longer perf_event_attr than it knows."""

from __future__ import annotations

import struct

_ENTRY_SIZE_OFFSET = 16  # in the file header: the size of an entry of the attr section, then its offset and size
_OLDER_SIZE = 128  # bytes of perf_event_attr in perf 6.1


def for_older_perf(whole: bytes) -> bytes:
    """Return the same recording with every perf_event_attr cut to 128 bytes. The bytes cut off must be zero."""
    entry_size, offset, size = struct.unpack_from("<QQQ", whole, _ENTRY_SIZE_OFFSET)
    if entry_size - 16 <= _OLDER_SIZE:
        return whole
    entries = [whole[start : start + entry_size] for start in range(offset, offset + size, entry_size)]
    assert not any(any(entry[_OLDER_SIZE:-16]) for entry in entries)
    attrs = b"".join(
        entry[:4] + struct.pack("<I", _OLDER_SIZE) + entry[8:_OLDER_SIZE] + entry[-16:] for entry in entries
    )
    changed = bytearray(whole)
    changed[offset : offset + len(attrs)] = attrs
    struct.pack_into("<QQQ", changed, _ENTRY_SIZE_OFFSET, _OLDER_SIZE + 16, offset, len(attrs))
    return bytes(changed)

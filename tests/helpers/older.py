"""A recording as an older perf would have written it, which refuses events that are described at more length."""

from __future__ import annotations

import struct

_ATTR_SIZE, _ATTRS, _OLDER = 16, 24, 128  # two places in the file header, and bytes of perf_event_attr in perf 6.1


def for_older_perf(whole: bytes) -> bytes:
    """The same recording with every perf_event_attr cut to 128 bytes. What is cut off must be zero."""
    entry_size, at, size = struct.unpack_from("<QQQ", whole, _ATTR_SIZE)
    if entry_size - 16 <= _OLDER:
        return whole
    entries = [whole[start : start + entry_size] for start in range(at, at + size, entry_size)]
    assert not any(any(entry[_OLDER:-16]) for entry in entries)
    attrs = b"".join(entry[:4] + struct.pack("<I", _OLDER) + entry[8:_OLDER] + entry[-16:] for entry in entries)
    changed = bytearray(whole)
    changed[at : at + len(attrs)] = attrs
    struct.pack_into("<QQQ", changed, _ATTR_SIZE, _OLDER + 16, at, len(attrs))
    return bytes(changed)

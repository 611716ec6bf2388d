"""Where the raw tracepoint data of each sample lies, and the time and CPU that perf put before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.trace.decode.gather import Array, column, gather
from harness.trace.perf_data.attr import Attr, SampleOffsets, is_grouped, read_words, sample_offsets

_KIND_BYTES = 2  # common_type, the first field of the raw data of every tracepoint
HEAD_MORE = 4 + _KIND_BYTES  # the size of the raw data, and the common_type


@dataclass(frozen=True)
class Samples:
    """Samples of one layout: times (ns), CPUs, and for each its raw data's byte address, size and common_type.

    `dropped` counts those whose parts do not fit into the record.
    """

    time_ns: Array
    cpu: Array
    raw_at: Array
    raw_size: Array
    kind: Array
    dropped: int = 0

    def only(self, chosen: Array) -> Samples:
        """Those chosen by a mask or by places."""
        return Samples(
            self.time_ns[chosen],
            self.cpu[chosen],
            self.raw_at[chosen],
            self.raw_size[chosen],
            self.kind[chosen],
            self.dropped,
        )


def locate(buffer: Array, at: Array, head: Array, attr: Attr, order: str) -> Samples:
    """Read the fixed part of samples of the layout of `attr`, and find their raw data.

    `head` are their first bytes, HEAD_MORE of them behind the fixed part; `at` are their byte addresses.
    """
    places = sample_offsets(attr)
    sizes = column(head, order + "u2", 6).astype(np.int64)
    if places.has_read or places.has_callchain:
        tail: Array | int = np.minimum(_raw_offsets(buffer, at, sizes, attr, places, order), sizes)
        raw_size = gather(buffer, at + tail, order + "u4").astype(np.int64)
        kind = gather(buffer, at + tail + 4, order + "u2")
    else:
        tail = places.tail
        raw_size = column(head, order + "u4", tail).astype(np.int64)
        kind = column(head, order + "u2", tail + 4)
    found = Samples(
        column(head, order + "i8", places.time or 0).astype(np.int64),
        _cpus(head, places, order),
        at + (tail + 4),
        raw_size,
        kind,
    )
    inside = (raw_size >= _KIND_BYTES) & (raw_size <= sizes - (tail + 4))
    return found if inside.all() else _dropping(found, inside)


def _dropping(found: Samples, inside: Array) -> Samples:
    rest = found.only(inside)
    return Samples(rest.time_ns, rest.cpu, rest.raw_at, rest.raw_size, rest.kind, int((~inside).sum()))


def _cpus(head: Array, places: SampleOffsets, order: str) -> Array:
    if places.cpu is None:
        return np.full(len(head), -1, np.int16)
    return column(head, order + "u4", places.cpu).astype(np.int16)


def _raw_offsets(buffer: Array, at: Array, sizes: Array, attr: Attr, places: SampleOffsets, order: str) -> Array:
    """Byte offset of the raw part in each record: READ and CALLCHAIN, of any length, come before it."""
    offset = np.full(len(at), places.tail, np.int64)
    if places.has_read:
        members = _counts(buffer, at, offset, sizes, order) if is_grouped(attr) else np.ones(len(at), np.int64)
        each = read_words(attr, 1) - read_words(attr, 0)
        offset += 8 * (read_words(attr, 0) + each * members)
    if places.has_callchain:
        offset += 8 * (1 + _counts(buffer, at, offset, sizes, order))
    return offset


def _counts(buffer: Array, at: Array, offset: Array, sizes: Array, order: str) -> Array:
    """The u64 count at `offset` of each record; a count that cannot be is given as one too large to fit."""
    counts = gather(buffer, at + np.minimum(offset, sizes - 8), order + "u8")
    return np.minimum(counts, 1 << 16).astype(np.int64)

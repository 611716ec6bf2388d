"""Where the raw tracepoint data of each sample lies, and the time, CPU and task that perf put before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.trace.attr import Attr, Layout, is_grouped, layout, read_words
from harness.trace.gather import Array, column, gather, gather_rows


@dataclass(frozen=True)
class Samples:
    """Samples of one attr: times (ns), CPUs, and for each its raw data's byte address and size.

    `dropped` counts those whose parts do not fit into the record.
    """

    time_ns: Array
    cpu: Array
    raw_at: Array
    raw_size: Array
    dropped: int


def locate(buffer: Array, at: Array, attr: Attr, order: str) -> Samples:
    """Read the fixed part of the samples of `attr` at byte addresses `at` and find their raw data."""
    places = layout(attr)
    sizes = gather(buffer, at, order + "u2", 6).astype(np.int64)
    at, sizes, short = _fitting(at, sizes, sizes >= places.tail + (4 if places.has_raw else 0))
    tail, fits = _raw_offsets(buffer, at, sizes, attr, places, order)
    if fits is not None:
        (at, sizes, cut), tail = _fitting(at, sizes, fits), tail[fits] if isinstance(tail, np.ndarray) else tail
        short += cut
    raw_size = gather(buffer, at + tail, order + "u4").astype(np.int64)
    fixed = gather_rows(buffer, at, places.tail)
    inside = raw_size <= sizes - tail - 4
    samples = Samples(
        column(fixed, order + "i8", places.time or 0).astype(np.int64),
        _cpus(fixed, places, order),
        at + tail + 4,
        raw_size,
        short + int((~inside).sum()),
    )
    return samples if inside.all() else _only(samples, inside)


def _fitting(at: Array, sizes: Array, good: Array) -> tuple[Array, Array, int]:
    if good.all():
        return at, sizes, 0
    return at[good], sizes[good], int((~good).sum())


def _only(samples: Samples, good: Array) -> Samples:
    return Samples(
        samples.time_ns[good], samples.cpu[good], samples.raw_at[good], samples.raw_size[good], samples.dropped
    )


def _cpus(fixed: Array, places: Layout, order: str) -> Array:
    if places.cpu is None:
        return np.full(len(fixed), -1, np.int16)
    return column(fixed, order + "u4", places.cpu).astype(np.int16)


def _raw_offsets(
    buffer: Array, at: Array, sizes: Array, attr: Attr, places: Layout, order: str
) -> tuple[Array | int, Array | None]:
    """Byte offset of the raw part in each record: READ and CALLCHAIN, of any length, come before it."""
    if not places.has_read and not places.has_callchain:
        return places.tail, None
    offset = np.full(len(at), places.tail, np.int64)
    if places.has_read:
        members = _counts(buffer, at, offset, sizes, order) if is_grouped(attr) else np.ones(len(at), np.int64)
        each = read_words(attr, 1) - read_words(attr, 0)
        offset += 8 * (read_words(attr, 0) + each * members)
    if places.has_callchain:
        offset += 8 * (1 + _counts(buffer, at, offset, sizes, order))
    return np.minimum(offset, sizes), offset + 4 <= sizes


def _counts(buffer: Array, at: Array, offset: Array, sizes: Array, order: str) -> Array:
    """The u64 count at `offset` of each record; a count that cannot be is given as one too large to fit."""
    counts = gather(buffer, at + np.minimum(offset, sizes - 8), order + "u8")
    return np.minimum(counts, 1 << 16).astype(np.int64)

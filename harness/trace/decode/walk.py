"""Finds where the records of a perf.data stream begin.

Each record says how long it is, so in principle they must be visited one by one. In a scheduler recording nearly all
of them are samples, and a sample is easy to know by its header and the event id behind it. So candidates are found
with a few passes of numpy over the whole buffer, and a candidate counts only if the chain of record sizes reaches it:
where one ends exactly where the next begins, both are real; every other place is walked record by record. The result
is always that of the plain walk, whatever the bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from harness.trace.decode.gather import Array, gather
from harness.trace.decode.ids import Ids
from harness.trace.perf_data.records import TRAILING_PAYLOAD

SAMPLE = 9
_FALSE_SHARE = 50  # one break in so many candidates, and they are looked at more closely


@dataclass(frozen=True)
class Other:
    """A record that is no sample: its type, and its place and size in bytes."""

    type: int
    misc: int
    at: int
    size: int


@dataclass
class Walk:
    """The records of one buffer: byte addresses of samples, the other records, and why the walk ended at `end`.

    `stopped` is `cut` where the next record does not fit, `apart` at a record of a type in APART or of a size that
    is no multiple of eight, `broken` at one whose size cannot be, and empty where the buffer ends with a whole one.
    """

    samples: Array
    others: list[Other] = field(default_factory=list)
    end: int = 0
    stopped: str = ""


def walk(buffer: Array, size: int, order: str, ids: Ids | None = None, id_offset: int | None = None) -> Walk:
    """Walk `buffer[:size]`, which begins with a record and is aligned to eight bytes.

    `order` is `<` or `>`. `ids` at byte `id_offset` of each sample make candidates surer where too many are false;
    they are only a hint and never change the result.
    """
    candidates, ends = _candidates(buffer, size, order)
    breaks = np.flatnonzero(ends[:-1] != candidates[1:]) + 1
    if ids is not None and id_offset is not None and len(breaks) * _FALSE_SHARE > len(candidates):
        likely = candidates + id_offset + 8 <= size
        likely[likely] = ids.places(gather(buffer, candidates[likely], order + "u8", id_offset)) >= 0
        candidates, ends = candidates[likely], ends[likely]
        breaks = np.flatnonzero(ends[:-1] != candidates[1:]) + 1
    return _join(buffer, size, order, candidates, ends, breaks)


def _candidates(buffer: Array, size: int, order: str) -> tuple[Array, Array]:
    """Where samples may begin, by their type and a possible size, and where each would end."""
    words = buffer[: size // 8 * 8].view(order + "u4")
    at = np.flatnonzero(words[::2] == SAMPLE)
    sizes = buffer[: size // 8 * 8].view(order + "u2")[3::4][at].astype(np.int64)
    at *= 8
    ends = at + sizes
    possible = (sizes >= 16) & (sizes & 7 == 0) & (ends <= size)
    return (at, ends) if possible.all() else (at[possible], ends[possible])


def _join(buffer: Array, size: int, order: str, candidates: Array, ends: Array, breaks: Array) -> Walk:
    """Link runs of touching candidates by plain walks over what lies between them."""
    runs = _Runs(candidates, ends, breaks)
    plain = _Plain(buffer, size, order)
    pieces: list[Array] = []
    singles: list[int] = []
    at = 0
    while not plain.stopped:
        run, after = runs.from_(at)
        if run is not None:
            pieces.append(run)
            at = after
            continue
        kind, after = plain.step(at)
        if kind == SAMPLE:
            singles.append(at)
        at = after
    samples = np.concatenate([*pieces, np.array(singles, dtype=np.int64)])
    return Walk(np.sort(samples) if singles else samples, plain.others, at, plain.stopped.removeprefix("end"))


class _Runs:
    """Runs of candidates that touch one another, asked for in rising order."""

    def __init__(self, candidates: Array, ends: Array, breaks: Array) -> None:
        self.candidates, self.ends = candidates, ends
        starts = np.concatenate([[0], breaks]) if len(candidates) else np.zeros(0, np.int64)
        self.bounds = np.append(starts, len(candidates)).astype(np.int64).tolist()
        self.firsts = candidates[starts].tolist()
        self.lasts = candidates[np.append(breaks, len(candidates)).astype(np.int64) - 1].tolist() if self.firsts else []
        self.run = 0

    def from_(self, at: int) -> tuple[Array | None, int]:
        """The candidates from exactly `at` to the end of their run, and where the record after them begins."""
        while self.run < len(self.lasts) and self.lasts[self.run] < at:
            self.run += 1
        if self.run == len(self.lasts) or self.firsts[self.run] > at:
            return None, at
        begin, stop = self.bounds[self.run], self.bounds[self.run + 1]
        if self.firsts[self.run] < at:  # entered in its middle: false candidates came first
            begin += int(np.searchsorted(self.candidates[begin:stop], at))
        if self.candidates[begin] != at:
            return None, at
        return self.candidates[begin:stop], int(self.ends[stop - 1])


class _Plain:
    """Visits records one at a time; `stopped` says why it could not go on (`end`: nothing is left)."""

    def __init__(self, buffer: Array, size: int, order: str) -> None:
        self.bytes, self.size, self.others = buffer.data, size, list[Other]()
        self.read = struct.Struct(order + "IHH").unpack_from
        self.stopped = ""

    def step(self, at: int) -> tuple[int, int]:
        """Go over the record at `at`: its type, and where the next one begins."""
        if at + 8 > self.size:
            return self._stop(at, "cut" if at < self.size else "end")
        kind, misc, length = self.read(self.bytes, at)
        if length < 8:
            return self._stop(at, "broken")
        if kind in TRAILING_PAYLOAD or length % 8:
            return self._stop(at, "apart")
        if at + length > self.size:
            return self._stop(at, "cut")
        if kind != SAMPLE:
            self.others.append(Other(kind, misc, at, length))
        return kind, at + length

    def _stop(self, at: int, why: str) -> tuple[int, int]:
        self.stopped = why
        return -1, at

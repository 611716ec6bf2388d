"""The engine in numpy, for where there is no compiled code."""

from __future__ import annotations

import numpy as np

from harness.trace.decode.decoder import NEVER, Block, Seen
from harness.trace.decode.gather import Array
from harness.trace.decode.rows import Decoder
from harness.trace.decode.span import Chain, Losses, Times
from harness.trace.decode.walk import walk
from harness.trace.perf_data.header import Header

_PART = "_part"  # a column of blocks that are of several files


class Vectorised:
    """An `engine.Engine` in numpy."""

    def __init__(self, header: Header, parts: int = 1, counts_only: bool = False) -> None:
        self._decoder, self._counts_only = Decoder(header), counts_only
        self._times, self._losses, self._chain = Times(), Losses(self._decoder.order), Chain()
        self._part: int | None = 0 if parts > 1 else None
        self._held: dict[str, list[Block]] = {}
        self.earliest_ns, self.rows = NEVER, 0

    def take(self, buffer: bytearray, size: int) -> tuple[int, str]:
        """See `Engine.take`."""
        data, decoder = np.frombuffer(buffer, np.uint8), self._decoder
        found = walk(data, size, decoder.order, decoder.ids, decoder.id_offset)
        for record in found.others:
            self._losses.add(data, record)
        heads = decoder.heads(data, found.samples)
        first = self._times.add(decoder.times(heads))
        self.earliest_ns = NEVER if first is None else first
        if not self._counts_only:
            for table, block in decoder.decode(data, found.samples, heads).items():
                self._keep(table, block)
        return found.end, found.stopped

    def enter(self, part: int) -> None:
        """See `Engine.enter`."""
        self._times.next_part()
        if self._part is not None:
            self._part = part

    def finish(self) -> None:
        """See `Engine.finish`."""
        self._held = {table: [_sorted(blocks)] for table, blocks in self._held.items()}
        for table, (block,) in self._held.items():
            self._chain.add(table, block)

    def block(self, table: str) -> Block:
        """See `Engine.block`."""
        return _without_part(self._held[table][0]) if table in self._held else {}

    def release(self, limit_ns: int) -> dict[str, Block]:
        """See `Engine.release`."""
        given: dict[str, Block] = {}
        for table, blocks in list(self._held.items()):
            whole = _sorted(blocks)
            rows = len(whole["time_ns"])
            cut = int(np.searchsorted(whole["time_ns"], limit_ns)) if limit_ns != NEVER else rows
            self._held[table] = [{name: values[cut:].copy() for name, values in whole.items()}]
            if cut:
                given[table] = _without_part({name: values[:cut] for name, values in whole.items()})
                self._chain.add(table, given[table])
                self.rows -= cut
        return given

    def seen(self) -> Seen:
        """See `Engine.seen`."""
        times, decoder = self._times, self._decoder
        return Seen(
            samples=times.samples,
            inversions=times.inversions,
            first_ns=times.first_ns or 0,
            last_ns=times.last_ns or 0,
            lost_events=self._losses.events,
            bad=decoder.bad,
            counts=dict(decoder.counts),
            chain_breaks=self._chain.breaks,
            cpus=tuple(sorted(self._chain.cpus)),
        )

    def names(self) -> list[bytes]:
        """See `Engine.names`."""
        return list(self._decoder.names.codes)

    def states(self) -> list[int]:
        """See `Engine.states`."""
        return list(self._decoder.states.codes)

    def _keep(self, table: str, block: Block) -> None:
        rows = len(block["time_ns"])
        if self._part is not None:
            block = {**block, _PART: np.full(rows, self._part, np.int32)}
        self._held.setdefault(table, []).append(block)
        self.rows += rows


def _sorted(blocks: list[Block]) -> Block:
    """One block of all, sorted by time; those of one time by part, and else as they were added."""
    whole = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    order = _order(whole)
    return whole if order is None else {name: values[order] for name, values in whole.items()}


def _order(block: Block) -> Array | None:
    times = block["time_ns"]
    if _PART in block:
        return np.lexsort([block[_PART], times])
    return None if (times[1:] >= times[:-1]).all() else np.argsort(times, kind="stable")


def _without_part(block: Block) -> Block:
    return {name: values for name, values in block.items() if name != _PART}

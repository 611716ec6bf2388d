"""Replays the EEVDF scheduler from what the kernel traced (see `model.replay.eevdf`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from model.data.streams import Segment
from model.predictors.scheduling_policy import Ranked
from model.replay import events, kernel, names
from model.replay.eevdf_replay import EevdfWalks
from model.settings import Range

SLICE_MS = Range(0.1, 1000.0)  # a tenth of a millisecond is the least that the kernel grants a task


class EevdfReplay(Ranked):
    """For kernels since 6.6, made after 6.12. What is left out is taken from the recording, or is 6.12's on one CPU.

    `corrects`: a pick that was not foreseen puts the lags concerned right; without it only the kernel's rules speak.
    """

    def __init__(
        self,
        base_slice_ms: Annotated[float | None, SLICE_MS] = None,
        delay_dequeue: bool | None = None,
        corrects: bool = True,
    ) -> None:
        super().__init__()
        self.base_slice_ms, self.delay_dequeue, self.corrects = base_slice_ms, delay_dequeue, corrects

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """As the replayed queue would pick them. Raises TableError where wakeups or run times are not recorded."""
        stream = segment.stream
        slice_ns = None if self.base_slice_ms is None else int(self.base_slice_ms * 1e6)
        rules = kernel.eevdf_rules(stream.folder, slice_ns, self.delay_dequeue)
        walks = EevdfWalks(stream, names.read(stream.folder), rules, self.corrects)
        return list(walks.rankings(events.read(stream, segment.stop), segment.start))

"""Predictors that rank the runnable tasks by a scheduling policy: first come first served, and the kernel's own.

A policy ranks the tasks. The share of switches in the train part at which a rank was picked is its
probability. Slice lengths come from histograms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.counts.slice_histograms import SliceHistograms
from model.data.streams import Segment
from model.predictor import OnProgress, Prediction
from model.replay import kernel
from model.replay.eevdf_replay import GroupedOrFlatEevdf
from model.replay.events import read_events
from model.replay.guesses import guesses
from model.replay.names import read_thread_names
from model.replay.ranking import Ranking, RankTable
from model.settings import CfsReplaySettings, EevdfReplaySettings, WithSettings

SLICE_LAGS = 2


class SchedulingPolicy(WithSettings):
    """The base of all policies; a policy overrides `order`."""

    inputs = "runqueue"
    seeded = False

    def __init__(self) -> None:
        self.table = RankTable()

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """Return for each event of the segment the runnable tids, the likeliest first."""
        raise NotImplementedError

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Count how often the policy's first, second, ... choice was picked."""
        on_progress("ordering the runnable tasks", 0, None)
        self._fit_counts([self.ranking(segment) for segment in train], train, valid, marks)
        return []

    def ranking(self, segment: Segment) -> Ranking:
        """Return the policy's order, with marks."""
        return Ranking.of(segment, self.order(segment))

    def predict(self, segment: Segment) -> Prediction:
        """Predict marks from the order, slices from the histograms."""
        ranking = self.ranking(segment)
        weights = self.table.weights(ranking)
        tid = ranking.likeliest(weights)
        return Prediction(self.table.log_probs(ranking, weights), self.slices.predict(segment), tid)

    def session(self, segment: Segment) -> None:
        """Return None: a run queue exists only in a recording."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything counted."""
        return {**self.table.arrays(), **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        self.table.restore(arrays)
        self.slices = SliceHistograms(len(self.table.common), SLICE_LAGS)
        self.slices.restore(arrays)

    def _fit_counts(
        self, rankings: Sequence[Ranking], train: Sequence[Segment], valid: Sequence[Segment], marks: int
    ) -> None:
        self.table.fit(Ranking.concatenate(rankings), train, marks)
        self.slices = SliceHistograms(marks, SLICE_LAGS)
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)


class Fifo(SchedulingPolicy):
    """First come, first served: the task that has waited longest is next, the one that just left the CPU last."""

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """Order by waiting time, the longest first, as the recording lists the runnable tasks."""
        return [_fifo_order(segment, event) for event in range(segment.start, segment.stop)]


def _fifo_order(segment: Segment, event: int) -> list[int]:
    stream = segment.stream
    last = int(stream.tid[event - 1]) if event else -1
    waiting = stream.runnable(event).tolist()
    return [tid for tid in waiting if tid != last] + [tid for tid in waiting if tid == last]


class CfsReplay(SchedulingPolicy):
    """The Completely Fair Scheduler (`model.replay.cfs`), for recordings of kernels before 6.6.

    Settings left out come from the recording or, if it lacks them, are the defaults of its kernel and number of CPUs.
    `forget_buddies_when_picked` is the rule up to Linux 5.13.
    """

    settings_type = CfsReplaySettings

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        chosen = CfsReplaySettings(**settings)
        self.latency_ms, self.wakeup_granularity_ms = chosen.latency_ms, chosen.wakeup_granularity_ms
        self.forget_buddies_when_picked = chosen.forget_buddies_when_picked

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """Order as the replayed queues would pick. Raises TableError without wakeups or run times, StreamError."""
        stream = segment.stream
        kernel.require_cfs(stream)
        latency_ns, granularity_ns = (
            None if ms is None else ms * 1e6 for ms in (self.latency_ms, self.wakeup_granularity_ms)
        )
        rules = kernel.cfs_rules(stream.folder, latency_ns, granularity_ns, self.forget_buddies_when_picked)
        replay = kernel.create_cfs(stream, read_thread_names(stream.folder), rules)
        return list(replay.rankings(read_events(stream, segment.stop), segment.start))

    def guesses(self, folder: Path) -> list[str]:
        """Return what the replay of a recording had to guess."""
        return guesses(folder)


class EevdfReplay(SchedulingPolicy):
    """The EEVDF scheduler (`model.replay.eevdf`) of kernels since 6.6, by the rules of 6.12.

    Settings left out come from the recording or, if it lacks them, are those of 6.12 on one CPU. `corrects`: a wrong
    prediction moves the lags concerned; without it only the kernel's rules apply.
    """

    settings_type = EevdfReplaySettings

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        chosen = EevdfReplaySettings(**settings)
        self.base_slice_ms, self.delay_dequeue = chosen.base_slice_ms, chosen.delay_dequeue
        self.corrects = chosen.corrects

    def order(self, segment: Segment) -> Sequence[Sequence[int]]:
        """Order as the replayed queues would pick. Raises TableError without wakeups or run times."""
        stream = segment.stream
        slice_ns = None if self.base_slice_ms is None else int(self.base_slice_ms * 1e6)
        rules = kernel.eevdf_rules(stream.folder, slice_ns, self.delay_dequeue)
        replay = GroupedOrFlatEevdf(stream, read_thread_names(stream.folder), rules, self.corrects)
        return list(replay.rankings(read_events(stream, segment.stop), segment.start))

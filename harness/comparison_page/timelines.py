"""Chooses a typical stretch of a typical trial of each side, and packs both for two timelines, one above the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.comparison.measured.observation import Observation
from harness.report.recording_summary import TASKS_SHOWN, RecordingSummary, assign_colours, read_slices, summarise
from harness.report.timeline import Timeline, timelines
from harness.visible import visible

if TYPE_CHECKING:
    from harness.comparison.comparison import Comparison

SLICES_IN_VIEW = 160  # of the side that switches more often: each is still a box
AROUND = 12  # lengths of a stretch that are packed on each side of it, to move and zoom out
SLICES_A_SIDE = 20_000
FEWEST_STRETCHES = 5  # in the shorter recording


@dataclass(frozen=True)
class Stretch:
    """A stretch of one trial. `begin_ns`: from the start of the recording; `rate` and `typical_rate`: switches/s."""

    trial: Observation
    begin_ns: int
    length_ns: int
    rate: float
    typical_rate: float
    timelines: tuple[Timeline, ...]
    metas: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Stretches:
    """Two stretches of one length; `same_block`: they are of one block."""

    first: Stretch
    second: Stretch
    same_block: bool
    metric: str

    @property
    def metas(self) -> tuple[tuple[dict[str, Any], ...], ...]:
        """Return what the script needs of both sides, besides the packed slices."""
        return self.first.metas, self.second.metas


def typical_stretches(comparison: Comparison) -> Stretches | str:
    """Return the stretches of both sides, or why there are none."""
    metric = comparison.primary or (comparison.effects[0].metric.name if comparison.effects else "")
    sides = [_with_slices(side.observations) for side in (comparison.first, comparison.second)]
    for side, trials in zip((comparison.first, comparison.second), sides, strict=True):
        if not trials:
            return f"no trial of {visible(side.label)} has a table of slices"
    first, second = typical_trials(sides[0], sides[1], metric)
    try:
        frames = [read_slices(trial.folder) for trial in (first, second)]
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors derive from these
        return f"the slices of {first.trial} or {second.trial} cannot be read ({visible(error)})"
    if any(frame.empty for frame in frames):
        return f"{first.trial} or {second.trial} has no slice"
    return _packed((first, second), frames, metric)


def _packed(trials: tuple[Observation, Observation], frames: list[pd.DataFrame], metric: str) -> Stretches:
    slots = assign_colours(frames)
    recordings = [summarise(frame, slots) for frame in frames]
    length_ns = stretch_length(recordings)
    cuts = [_choose(recording.slices, length_ns) for recording in recordings]
    before = min(*(cut.begin_ns - cut.start_ns for cut in cuts), AROUND * length_ns)
    after = min(*(cut.end_ns - cut.begin_ns - length_ns for cut in cuts), AROUND * length_ns)
    spans = before, length_ns, after
    windows = [_window(recording.slices, cut, spans) for recording, cut in zip(recordings, cuts, strict=True)]
    tasks = _tasks(recordings, windows)
    first, second = (
        _stretch(trial, replace(recording, slices=window), cut, spans, tasks)
        for trial, recording, window, cut in zip(trials, recordings, windows, cuts, strict=True)
    )
    keys = {(trial.run, trial.block) for trial in trials}
    return Stretches(first, second, len(keys) == 1, metric)


def typical_trials(
    first: Sequence[Observation], second: Sequence[Observation], metric: str
) -> tuple[Observation, Observation]:
    """Return a trial of each side: of one block if a block is in the middle half of both sides, else the medians."""
    distances = [_distances(side, metric) for side in (first, second)]
    left, right = ({(one.run, one.block): one for one in side} for side in (first, second))
    shared = [key for key in left if key in right]
    if shared:
        best = min(shared, key=lambda key: max(distances[0][key], distances[1][key]))
        if max(distances[0][best], distances[1][best]) <= 0.5:  # half of all trials are nearer than this
            return left[best], right[best]
    nearest = [min(distance, key=distance.__getitem__) for distance in distances]
    return left[nearest[0]], right[nearest[1]]


def _distances(side: Sequence[Observation], metric: str) -> dict[tuple[str, int], float]:
    """Return for each trial which share of the side's trials is nearer to the median of the metric than it."""
    values = {(one.run, one.block): one.values.get(metric) for one in side}
    known = [value for value in values.values() if value is not None]
    middle = median(known) if known else 0.0
    away = {key: float("inf") if value is None else abs(value - middle) for key, value in values.items()}
    return {key: sum(other < distance for other in away.values()) / len(away) for key, distance in away.items()}


@dataclass(frozen=True)
class _Cut:
    """Where a stretch lies in a recording, on the recording's own clock."""

    start_ns: int
    end_ns: int
    begin_ns: int
    rate: float
    typical_rate: float


def stretch_length(recordings: Sequence[RecordingSummary]) -> int:
    """Return a round length in ns that holds `SLICES_IN_VIEW` slices of the side that switches more often."""
    fastest = max(recording.switches / recording.span_s for recording in recordings)
    shortest = min(recording.span_s for recording in recordings)
    wanted_s = min(SLICES_IN_VIEW / fastest, shortest / FEWEST_STRETCHES)
    power = 10.0 ** np.floor(np.log10(wanted_s))
    return int(1e9 * power * max(factor for factor in (1, 2, 5) if factor * power <= wanted_s * (1 + 1e-9)))


def _choose(slices: pd.DataFrame, length_ns: int) -> _Cut:
    """Choose the stretch whose number of switches is nearest to the median, and of equal ones the most central."""
    starts = slices["start_ns"].to_numpy(dtype=np.int64)
    start_ns, end_ns = int(starts[0]), int((slices["start_ns"] + slices["slice_ns"]).max())
    count = max(1, (end_ns - start_ns) // length_ns)
    edges = start_ns + length_ns * np.arange(count + 1)
    switches = np.diff(np.searchsorted(starts, edges))
    typical = float(np.median(switches))
    central = np.abs(np.arange(count) - (count - 1) / 2) / count  # below one switch
    index = int(np.argmin(np.abs(switches - typical) + central))
    per_s = 1e9 / length_ns
    return _Cut(start_ns, end_ns, int(edges[index]), float(switches[index] * per_s), typical * per_s)


def _window(slices: pd.DataFrame, cut: _Cut, spans: tuple[int, int, int]) -> pd.DataFrame:
    """Return the slices of the stretch and of what is packed around it, also those that reach into it."""
    before, length_ns, after = spans
    low, high = cut.begin_ns - before, cut.begin_ns + length_ns + after
    return slices[(slices["start_ns"] + slices["slice_ns"] > low) & (slices["start_ns"] < high)]


def _stretch(
    trial: Observation,
    recording: RecordingSummary,
    cut: _Cut,
    spans: tuple[int, int, int],
    tasks: Sequence[tuple[int, str]],
) -> Stretch:
    before, length_ns, _ = spans
    packed = timelines([(f"{trial.run} {trial.trial}", recording)], limit=SLICES_A_SIDE)
    return Stretch(
        trial, cut.begin_ns - cut.start_ns, length_ns, cut.rate, cut.typical_rate, tuple(packed),
        tuple(_meta(timeline, cut.begin_ns - before, spans, tasks) for timeline in packed),
    )  # fmt: skip


def _meta(
    timeline: Timeline, low: int, spans: tuple[int, int, int], tasks: Sequence[tuple[int, str]]
) -> dict[str, Any]:
    """Return what the script needs: its zero is the first packed slice, that of the axis the stretch's begin."""
    before, length_ns, after = spans
    begin = low - timeline.start_ns
    return timeline.meta() | {
        "tasks": [[slot, label] for slot, label in tasks],
        "window": [begin, begin + before + length_ns + after],
        "view": [begin + before, begin + before + length_ns],
        "skipped": -(begin + before),
    }


def _tasks(recordings: Sequence[RecordingSummary], windows: Sequence[pd.DataFrame]) -> list[tuple[int, str]]:
    """Return the tasks in either window, those that run most often first and all others last: the rows of both."""
    named = {task.slot: task.label for recording in recordings for task in recording.tasks}
    switches = Counter(slot for window in windows for slot in window["slot"].tolist())
    slots = sorted(switches, key=lambda slot: (slot == TASKS_SHOWN, -switches[slot]))
    return [(slot, named[slot]) for slot in slots]


def _with_slices(observations: Sequence[Observation]) -> list[Observation]:
    return [one for one in observations if (one.folder / "slices.parquet").is_file()]

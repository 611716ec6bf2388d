"""Applies a stored predictor to recordings: scores it, predicts each event, or forecasts the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model import checkpoint
from model.checkpoint import Checkpoint
from model.data import clocks, kernels, provenance
from model.data import streams as streams_module
from model.data.clocks import Clock
from model.data.find_recordings import require_run_queues
from model.data.provenance import Provenance
from model.data.streams import Segment
from model.errors import SettingError
from model.scoring import caveats
from model.scoring.outcomes import Outcomes, evaluate
from model.scoring.predictions import predictions
from model.scoring.scores import score_online, score_outcomes, score_recordings

Sides = tuple[list[Provenance], list[Provenance]]  # of the recordings learned from, and of those tested on


@dataclass(frozen=True)
class EventForecast:
    """A forecast beside the event: the likeliest marks and the real one, the median slice and the real one."""

    event: int  # its index in the stream
    cpu: int
    likeliest: tuple[tuple[str, float], ...]  # marks with their probabilities, the likeliest first
    mark: str
    median_us: float
    slice_us: float
    contested: bool
    recording: str = ""


def scores(
    model_folder: Path,
    recordings: Sequence[Path],
    share: float = 1.0,
    *,
    across_clocks: bool = False,
    across_kernels: bool = False,
) -> dict[str, Any]:
    """Score a checkpoint on the last `share` of each recording, with the marks it learned. Raises PredictionError.

    With a `share` below 1 the part before it is history that the predictor may look at. Recordings of another clock,
    or of another kernel, than the checkpoint learned from are refused unless `across_clocks`, or `across_kernels`, is
    set; then the scores carry a caveat. They also carry one where a kernel is not known, or a recording was not whole.
    """
    return score(model_folder, recordings, share, across_clocks=across_clocks, across_kernels=across_kernels)[0]


def score(
    model_folder: Path,
    recordings: Sequence[Path],
    share: float = 1.0,
    *,
    across_clocks: bool = False,
    across_kernels: bool = False,
) -> tuple[dict[str, Any], Outcomes]:
    """Return the scores, as `scores` does, and the outcome of each event."""
    _require_share(share)
    stored = checkpoint.load(model_folder)
    tested = _tested_clock(stored, model_folder, recordings, across_clocks)
    sides = _provenance(stored, model_folder, recordings, across_kernels)
    segments = _last(_segments(stored, recordings), share)
    with checkpoint.applied(model_folder):
        outcomes = evaluate(stored.predictor, segments)
        online = score_online(stored.predictor, segments)
    return {
        **_head(stored, recordings, tested, sides),
        "also_learned_from": _learned(stored, recordings, share, sides),
        **score_outcomes(outcomes),
        "online": online,
        "by_trial": score_recordings(outcomes, segments),
    }, outcomes


def predict(
    model_folder: Path,
    recordings: Sequence[Path],
    share: float = 1.0,
    *,
    across_clocks: bool = False,
    across_kernels: bool = False,
) -> dict[str, np.ndarray]:
    """Predict each event of the last `share` of each recording; return the columns of `scoring.predictions`, (n,) each.

    `learned`: whether the model learned from this recording, and more than its test part is predicted. Recordings are
    refused as by `scores`. Raises PredictionError.
    """
    _require_share(share)
    stored = checkpoint.load(model_folder)
    _tested_clock(stored, model_folder, recordings, across_clocks)
    sides = _provenance(stored, model_folder, recordings, across_kernels)
    segments = _last(_segments(stored, recordings), share)
    with checkpoint.applied(model_folder):
        columns = predictions(stored.predictor, segments, stored.vocabulary.names)
    return {**columns, "learned": np.isin(columns["trial"], _learned(stored, recordings, share, sides))}


def _require_share(share: float) -> None:
    if not 0 < share <= 1:
        raise SettingError(f"share {share}: expected more than 0 and at most 1")


def caveat(model_folder: Path, recordings: Sequence[Path]) -> str | None:
    """Return the warning that belongs beside a model's forecasts for recordings of another clock or kernel, or damaged.

    None where nothing speaks against them. Raises PredictionError.
    """
    about = checkpoint.load(model_folder).about
    learned, tested = provenance.of_model(model_folder, about), list(map(provenance.of_recording, recordings))
    return caveats.join(
        clocks.caveat(Clock.of(about), clocks.one_clock(recordings)),
        kernels.caveat(learned, tested),
        provenance.caveat([*learned, *tested]),
    )


def _provenance(stored: Checkpoint, model_folder: Path, recordings: Sequence[Path], across_kernels: bool) -> Sides:
    """Return the provenance of both sides. StreamError if they are of several kernels, unless that is allowed."""
    kernels.require_one_kernel(recordings)
    learned, tested = provenance.of_model(model_folder, stored.about), list(map(provenance.of_recording, recordings))
    kernels.require_same((str(model_folder), learned), (clocks.paths_in_words(recordings), tested), across_kernels)
    return learned, tested


def _tested_clock(stored: Checkpoint, model_folder: Path, recordings: Sequence[Path], across_clocks: bool) -> Clock:
    """Return the clock of the recordings. StreamError if it is not the model's, unless `across_clocks` is set."""
    tested = clocks.one_clock(recordings)
    model = str(model_folder), Clock.of(stored.about)
    clocks.require_same(model, (clocks.paths_in_words(recordings), tested), across_clocks)
    return tested


def _head(stored: Checkpoint, recordings: Sequence[Path], tested: Clock, sides: Sides) -> dict[str, Any]:
    settings = {name: value for name, value in stored.predictor.settings().items() if name != "seed"}
    inputs, about, learned = stored.predictor.inputs, stored.about, Clock.of(stored.about)
    return {
        "predictor": stored.kind,
        "settings": settings,
        "regime": inputs,
        "mark": stored.mark,
        **learned.facts(),
        "tested_clock": tested.facts() if tested != learned else None,
        "caveat": caveats.join(
            caveats.find_caveat(inputs, recordings),
            caveats.find_guesses(stored.predictor, recordings),
            clocks.caveat(learned, tested),
            kernels.caveat(*sides),
            provenance.caveat([*sides[0], *sides[1]]),
        ),
        **provenance.beside_scores(*sides),
        "seed": about.get("seed"),
        "learned_from": about.get("trials"),
        "trials": [Path(folder).name for folder in recordings],
    }


def _learned(stored: Checkpoint, recordings: Sequence[Path], share: float, sides: Sides) -> list[str]:
    """Return the recordings whose scores are too good: more than the model's test part of them is scored.

    They are known by name and size, or by their content. The list is empty for older checkpoints, which do not store
    what they learned from.
    """
    known: Any = stored.about.get("learned_from") or []
    split: Any = stored.about.get("split") or [0, 0, 0]
    if share <= split[2] + 1e-9 and not stored.about.get("tested_elsewhere"):
        return []
    same = provenance.shared(*sides)
    return [
        Path(folder).name
        for folder, origin in zip(recordings, sides[1], strict=True)
        if checkpoint.sizes([folder])[0] in known or origin in same
    ]


def forecast(
    model_folder: Path,
    recording: Path,
    events: int,
    top: int = 3,
    *,
    across_clocks: bool = False,
    across_kernels: bool = False,
) -> list[EventForecast]:
    """Forecast the last `events` events of each CPU of a recording, each from the events before it.

    Raises PredictionError, also for a recording of another clock or kernel than the model's, unless `across_clocks`
    or `across_kernels` is set.
    """
    if events < 1:
        raise SettingError(f"{events} events: expected at least one")
    stored = checkpoint.load(model_folder)
    _tested_clock(stored, model_folder, [recording], across_clocks)
    _provenance(stored, model_folder, [recording], across_kernels)
    forecasts = []
    for whole in _segments(stored, [recording]):
        with checkpoint.applied(model_folder):
            forecasts += _forecast(stored, Segment(whole.stream, max(0, whole.stop - events), whole.stop), top)
    return forecasts


def _segments(stored: Checkpoint, recordings: Sequence[Path]) -> list[Segment]:
    require_run_queues(stored.predictor.inputs, recordings)
    streams = streams_module.streams([Path(folder) for folder in recordings], stored.mark, stored.vocabulary)
    return [Segment(stream, 0, len(stream)) for stream in streams]


def _last(segments: Sequence[Segment], share: float) -> list[Segment]:
    """Cut off the last share of each recording, at the same instant for all of its CPUs, as in training."""
    streams: dict[Path, list[Segment]] = {}
    for segment in segments:
        streams.setdefault(segment.stream.folder, []).append(segment)
    return [part for whole in streams.values() for part in _from_one_instant(whole, share)]


def _from_one_instant(cpus: Sequence[Segment], share: float) -> list[Segment]:
    times = np.sort(np.concatenate([segment.of(segment.stream.start_ns) for segment in cpus]))
    instant = times[len(times) - int(np.ceil(len(times) * share - 1e-6))]
    begins = [int(np.searchsorted(segment.stream.start_ns, instant)) for segment in cpus]
    parts = [Segment(each.stream, begin, each.stop) for each, begin in zip(cpus, begins, strict=True)]
    return [part for part in parts if len(part)]


def _forecast(stored: Checkpoint, segment: Segment, top: int) -> list[EventForecast]:
    prediction, names = stored.predictor.predict(segment), stored.vocabulary.names
    median_us, stream = prediction.dt.quantile(0.5), segment.stream
    forecasts = []
    slice_us = segment.slice_us()
    for row, event in enumerate(range(segment.start, segment.stop)):
        best = np.argsort(-prediction.log_probs[row], kind="stable")[:top]
        likeliest = tuple((names[code], float(np.exp(prediction.log_probs[row, code]))) for code in best)
        mark, contested = names[stream.mark[event]], bool(stream.contested[event])
        lengths = float(median_us[row]), float(slice_us[row])
        forecasts.append(EventForecast(event, stream.cpu, likeliest, mark, *lengths, contested, stream.recording))
    return forecasts

"""Scores a fitted predictor on segments it never saw: overall, and apart for forced and contested switches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from model.data.marks import UNKNOWN
from model.data.streams import Segment
from model.errors import StreamError
from model.predictor import Predictor
from model.scoring import metrics
from model.scoring.bootstrap import Blocks
from model.scoring.outcomes import Outcomes as Outcomes
from model.scoring.outcomes import hits_and_bits
from model.scoring.outcomes import outcomes as outcomes

PARTS = ("overall", "forced", "contested", "open")


def scores(found: Outcomes) -> dict[str, object]:
    """The score table of one predictor: `overall`, `forced`, `contested`, `open`, and the share of the contested."""
    blocks = Blocks.of(found.stream)
    parts = {name: metrics.table(found, chosen, blocks) for name, chosen in chosen_of(found).items()}
    if found.contested.any():
        parts["contested"]["chance_top1"] = float(found.chance[found.contested].mean())
    return {
        "test_events": len(found.mark),
        "share_contested": float(found.contested.mean()),
        "share_unknown": float((found.mark == UNKNOWN).mean()),
        **parts,
    }


def chosen_of(found: Outcomes) -> dict[str, np.ndarray]:
    """(n,) which events are of each of PARTS."""
    everything = np.ones(len(found.mark), bool)
    return {"overall": everything, "forced": ~found.contested, "contested": found.contested, "open": found.open}


def together(seeds: Iterable[Outcomes]) -> dict[str, dict[str, object]]:
    """The mean of each score over seeds, part by part, the same blocks of events being redrawn with every seed.

    Outcomes are taken one by one, so that those of one seed are in memory at a time. StreamError where two are not of
    the same events.
    """
    measured: dict[str, list[dict[str, metrics.Measured]]] = {name: [] for name in PARTS}
    first: Outcomes | None = None
    for found in seeds:
        first = found if first is None else same_events(first, found)
        blocks = Blocks.of(found.stream)
        for name, chosen in chosen_of(found).items():
            if chosen.any():
                measured[name].append(metrics.measured(found, chosen, blocks))
    return {name: metrics.told_of(parts) for name, parts in measured.items() if parts}


def same_events(one: Outcomes, other: Outcomes) -> Outcomes:
    """`one`, if both are of the same events; StreamError if not."""
    for name in ("stream", "mark", "contested", "open"):
        if not np.array_equal(getattr(one, name), getattr(other, name)):
            raise StreamError("scored on other events: score both on the same recordings, with the same marks")
    return one


def selection(predictor: Predictor, segments: Sequence[Segment]) -> dict[str, dict[str, object]]:
    """What a predictor is chosen by, of the part it is chosen on: `overall` and `contested`, without intervals."""
    found = hits_and_bits(predictor, segments)
    parts = {"overall": np.ones(len(found["hit"]), bool), "contested": found["contested"]}
    return {name: _selection(found["hit"][chosen], found["bits"][chosen]) for name, chosen in parts.items()}


def _selection(hit: np.ndarray, bits: np.ndarray) -> dict[str, object]:
    if not len(hit):
        return {"events": 0}
    return {"events": len(hit), "top1": float(hit.mean()), "bits_per_switch": float(bits.mean())}


def by_recording(found: Outcomes, segments: Sequence[Segment]) -> dict[str, dict[str, float | None]]:
    """`top1` and `contested_top1` of each recording by itself: recordings differ by more than intervals inside them.

    `found` is what `outcomes` made of `segments`; `contested_top1` is None where none was contested. Those that are
    called alike, as trials of several runs are, are told by their whole paths.
    """
    folders = list(dict.fromkeys(segment.stream.folder for segment in segments))
    place = [folders.index(segment.stream.folder) for segment in segments]
    whose, called = np.repeat(place, [len(segment) for segment in segments]), Counter(folder.name for folder in folders)
    rows = {}
    for number, folder in enumerate(folders):
        chosen = whose == number
        contested = found.hit[chosen & found.contested]
        hard = float(contested.mean()) if len(contested) else None
        name = folder.name if called[folder.name] == 1 else str(folder)
        rows[name] = {"top1": float(found.hit[chosen].mean()), "contested_top1": hard}
    return rows

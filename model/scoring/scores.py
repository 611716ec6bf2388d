"""Scores a fitted predictor on events it has not seen: on all of them, and on each of PARTS.

A switch is forced if one task was runnable, contested if two or more were, and open if two or more were besides the
task that was switched away from. Predictors are frozen while they are scored; online scores are of predictors that also
learn from every event once they have predicted it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from model.data.marks import UNKNOWN
from model.data.streams import Segment
from model.errors import StreamError
from model.predictor import OnlineLearner, SegmentPredictor
from model.scoring.bootstrap import Blocks
from model.scoring.metrics import ScoreEstimate, estimate_scores, score_part, summarise_scores
from model.scoring.outcomes import Outcomes, evaluate, evaluate_marks
from model.scoring.trial_spread import block_mean

PARTS = ("overall", "forced", "contested", "open")
MAX_ONLINE_EVENTS = 500_000  # learning event by event takes a tenth of a millisecond each


def score_outcomes(outcomes: Outcomes) -> dict[str, Any]:
    """Score one predictor: a table for each of PARTS, and the shares of contested events and of unknown marks.

    `interval_trials` is the number of trials that the intervals are over: with 1 they are about this recording only.
    """
    blocks = Blocks.draw(outcomes.stream, outcomes.trial)
    parts = {name: score_part(outcomes, mask, blocks) for name, mask in part_masks(outcomes).items()}
    if outcomes.contested.any():
        parts["contested"]["chance_top1"] = float(outcomes.chance[outcomes.contested].mean())
    return {
        "test_events": len(outcomes.mark),
        "interval_trials": len(np.unique(outcomes.trial)),
        "share_contested": float(outcomes.contested.mean()),
        "share_unknown": float((outcomes.mark == UNKNOWN).mean()),
        **parts,
    }


def score_online(predictor: SegmentPredictor, segments: Sequence[Segment]) -> dict[str, Any] | None:
    """Score a predictor that learns while it predicts; None if it cannot, or for more than MAX_ONLINE_EVENTS events.

    Learning starts anew from the fitted state with every stream: the later events of one CPU are not another's past.
    """
    if not isinstance(predictor, OnlineLearner) or sum(map(len, segments)) > MAX_ONLINE_EVENTS:
        return None
    return score_outcomes(evaluate(predictor.learner(), segments))


def part_masks(outcomes: Outcomes) -> dict[str, np.ndarray]:
    """Return for each of PARTS (n,) bool: which events belong to it."""
    everything = np.ones(len(outcomes.mark), bool)
    forced = ~outcomes.contested
    return {"overall": everything, "forced": forced, "contested": outcomes.contested, "open": outcomes.open}


def average_seeds(seeds: Iterable[Outcomes]) -> dict[str, dict[str, object]]:
    """Average each score over seeds, part by part, with intervals from the same block draws for every seed.

    `seeds` is consumed one by one to keep few in memory. StreamError if two are of different events.
    """
    estimates: dict[str, list[dict[str, ScoreEstimate]]] = {name: [] for name in PARTS}
    first: Outcomes | None = None
    for outcomes in seeds:
        first = first or outcomes
        require_same_events(first, outcomes)
        blocks = Blocks.draw(outcomes.stream, outcomes.trial)
        for name, mask in part_masks(outcomes).items():
            if mask.any():
                estimates[name].append(estimate_scores(outcomes, mask, blocks))
    return {name: summarise_scores(part) for name, part in estimates.items() if part}


def require_same_events(first: Outcomes, second: Outcomes) -> None:
    """Raise StreamError unless both are outcomes of the same events."""
    for name in ("stream", "mark", "contested", "open"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise StreamError("scored on other events: score both on the same recordings, with the same marks")


def score_for_selection(predictor: SegmentPredictor, segments: Sequence[Segment]) -> dict[str, dict[str, object]]:
    """Score the part by which a predictor is chosen: `overall` and `contested`, without intervals."""
    outcomes = evaluate_marks(predictor, segments)
    masks = {"overall": np.ones(len(outcomes["hit"]), bool), "contested": outcomes["contested"]}
    return {name: _hit_rate_and_bits(outcomes["hit"][mask], outcomes["bits"][mask]) for name, mask in masks.items()}


def _hit_rate_and_bits(hit: np.ndarray, bits: np.ndarray) -> dict[str, object]:
    if not len(hit):
        return {"events": 0}
    return {"events": len(hit), "top1": float(hit.mean()), "bits_per_switch": float(bits.mean())}


def score_recordings(outcomes: Outcomes, segments: Sequence[Segment]) -> dict[str, dict[str, float | int | None]]:
    """Return `top1`, `bits_per_switch` and `contested_top1` (None if none was contested) of each recording.

    `outcomes` are those of `segments`. Recordings of the same name, such as trials of several runs, are named by their
    whole paths. `*_se` is how far a score may be off on another stretch of that recording: its standard error over
    `blocks` (`contested_blocks`) blocks, None for too few. Trials that differ by more (`trial_spread`) are unlike.
    """
    folders = list(dict.fromkeys(segment.stream.folder for segment in segments))
    name_counts = Counter(folder.name for folder in folders)
    names = [folder.name if name_counts[folder.name] == 1 else str(folder) for folder in folders]
    return {name: _score_recording(outcomes, outcomes.trial == number) for number, name in enumerate(names)}


def _score_recording(outcomes: Outcomes, mask: np.ndarray) -> dict[str, float | int | None]:
    hit, bits, stream = outcomes.hit[mask], outcomes.bits[mask], outcomes.stream[mask]
    everything, contested = np.ones(len(hit)), outcomes.contested[mask].astype(float)
    top1, contested_top1 = block_mean(hit, everything, stream), block_mean(hit, contested, stream)
    surprise = block_mean(bits, everything, stream)
    return {
        "top1": top1.mean,
        "contested_top1": contested_top1.mean,
        "bits_per_switch": surprise.mean,
        "top1_se": top1.error,
        "contested_top1_se": contested_top1.error,
        "bits_per_switch_se": surprise.error,
        "blocks": top1.blocks,
        "contested_blocks": contested_top1.blocks,
    }

"""Scores a fitted predictor on segments it never saw: overall, and apart for forced and contested switches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from model import metrics
from model.bootstrap import Blocks, over_seeds
from model.data import Segment
from model.marks import UNKNOWN
from model.outcomes import Outcomes as Outcomes
from model.outcomes import hits_and_bits
from model.outcomes import outcomes as outcomes
from model.predictors.protocol import Predictor

PARTS = ("overall", "forced", "contested", "open")


def scores(found: Outcomes) -> dict[str, object]:
    """The score table of one predictor: `overall`, `forced`, `contested`, `open`, and the share of the contested."""
    blocks = Blocks.of(found.stream)
    everything = np.ones(len(found.mark), bool)
    contested = {**metrics.table(found, found.contested, blocks)}
    if found.contested.any():
        contested["chance_top1"] = float(found.chance[found.contested].mean())
    return {
        "test_events": len(found.mark),
        "share_contested": float(found.contested.mean()),
        "share_unknown": float((found.mark == UNKNOWN).mean()),
        "overall": metrics.table(found, everything, blocks),
        "forced": metrics.table(found, ~found.contested, blocks),
        "contested": contested,
        "open": metrics.table(found, found.open, blocks),
    }


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

    `found` is what `outcomes` made of `segments`; `contested_top1` is None where none was contested.
    """
    name = np.repeat([segment.stream.recording for segment in segments], [len(segment) for segment in segments])
    rows = {}
    for recording in dict.fromkeys(name.tolist()):
        chosen = name == recording
        contested = found.hit[chosen & found.contested]
        hard = float(contested.mean()) if len(contested) else None
        rows[recording] = {"top1": float(found.hit[chosen].mean()), "contested_top1": hard}
    return rows


def summarise(tables: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """The mean of each score over seeds, with an interval over them: one row per predictor, regime, mark and arm.

    What tells arms apart is the recordings they were scored on: those of two arms are never pooled.
    """
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[Mapping[str, object]]] = {}
    for table in tables:
        trials: Sequence[object] = table.get("trials") or ()  # type: ignore[assignment]
        key = (str(table["predictor"]), str(table["regime"]), str(table["mark"]), tuple(map(str, trials)))
        groups.setdefault(key, []).append(table)
    return [_summary(key, members) for key, members in groups.items()]


def _summary(key: tuple[str, str, str, tuple[str, ...]], members: Sequence[Mapping[str, object]]) -> dict[str, object]:
    row: dict[str, object] = dict(zip(("predictor", "regime", "mark", "trials"), key, strict=True))
    row |= {"trials": list(key[3]), "seeds": len(members)}
    for part in PARTS:
        tables: list[Mapping[str, object]] = [member[part] for member in members]  # type: ignore[misc]
        for name in tables[0]:
            values = [table.get(name) for table in tables]
            if not name.endswith("_ci") and all(isinstance(value, (int, float)) for value in values):
                row[f"{part}.{name}"] = float(np.mean(values))  # type: ignore[arg-type]
                row[f"{part}.{name}_seeds_ci"] = over_seeds(values)  # type: ignore[arg-type]
    return row

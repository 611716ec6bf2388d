"""Scores a fitted predictor on segments it never saw: overall, and apart for forced and contested switches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from model.bootstrap import interval, over_seeds
from model.data import Segment
from model.density import crps
from model.errors import StreamError
from model.marks import UNKNOWN
from model.predictors.protocol import Prediction, Predictor

PARTS = ("overall", "forced", "contested", "open")
PART = 16384  # events predicted at once; bounds the memory that (events, marks) probabilities take


@dataclass(frozen=True)
class Outcomes:
    """What became of each test event, in time order; every array is (n,)."""

    mark: np.ndarray
    contested: np.ndarray  # bool
    open: np.ndarray  # bool: two or more were runnable besides the task that was just switched away from
    chance: np.ndarray  # of picking the right one blindly, of those that could be switched to
    hit: np.ndarray  # bool: the most probable mark was the right one
    hit3: np.ndarray  # bool: it was among the three most probable
    bits: np.ndarray
    confidence: np.ndarray  # probability of the most probable mark
    slice_nats: np.ndarray  # -log density of dt in microseconds
    slice_error_us: np.ndarray  # |median - dt|
    slice_crps_us: np.ndarray
    slice_rank: np.ndarray  # cumulative probability at dt: uniform if the densities are right


def outcomes(predictor: Predictor, segments: Sequence[Segment]) -> Outcomes:
    """Predict every event of `segments`. StreamError if there are none."""
    parts = [_outcomes(predictor.predict(part), part) for segment in segments for part in _parts(segment)]
    if not parts:
        raise StreamError("the test part is empty: record longer, or give it a larger share")
    return Outcomes(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Outcomes)))


def _parts(segment: Segment) -> Iterator[Segment]:
    for start in range(segment.start, segment.stop, PART):
        yield Segment(segment.stream, start, min(start + PART, segment.stop))


def _outcomes(prediction: Prediction, segment: Segment) -> Outcomes:
    mark, dt_us = segment.of(segment.stream.mark), segment.of(segment.stream.slice_us())
    rows = np.arange(len(mark))
    best = np.argsort(-prediction.log_probs, axis=1, kind="stable")[:, :3]
    named = mark != UNKNOWN  # "none I know" is a fair bet in bits, but it names no task
    return Outcomes(
        mark=mark,
        contested=segment.of(segment.stream.contested),
        open=_open(segment),
        chance=_chance(segment),
        hit=(best[:, 0] == mark) & named,
        hit3=(best == mark[:, None]).any(axis=1) & named,
        bits=-prediction.log_probs[rows, mark] / np.log(2),
        confidence=np.exp(prediction.log_probs[rows, best[:, 0]]),
        slice_nats=-prediction.dt.log_pdf(dt_us),
        slice_error_us=np.abs(prediction.dt.quantile(0.5) - dt_us),
        slice_crps_us=crps(prediction.dt, dt_us),
        slice_rank=prediction.dt.cdf(dt_us),
    )


def _chance(segment: Segment) -> np.ndarray:
    """The share of the possible tasks that carry the right mark; zero where the record of them misses it."""
    event, mark = _possible(segment)
    same = mark == segment.of(segment.stream.mark)[event]
    count = np.bincount(event, minlength=len(segment))
    return np.bincount(event, weights=same, minlength=len(segment)) / np.maximum(count, 1)


def _open(segment: Segment) -> np.ndarray:
    """Where there was a choice beyond not going on."""
    event, _ = _possible(segment)
    return segment.of(segment.stream.contested) & (np.bincount(event, minlength=len(segment)) >= 2)


def _possible(segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    """(m,) event and mark of every task that could have been switched to.

    That is who was runnable, less the task that just left the CPU: going on with that one would be no switch.
    """
    stream = segment.stream
    bounds = stream.runnable_at[segment.start : segment.stop + 1]
    event = np.repeat(np.arange(len(segment)), np.diff(bounds))
    tid = stream.runnable_tid[bounds[0] : bounds[-1]]
    last = np.concatenate([[-1], stream.tid])[segment.start : segment.stop]
    possible = (tid != last[event]) | (tid == segment.of(stream.tid)[event])
    return event[possible], stream.runnable_mark[bounds[0] : bounds[-1]][possible]


def scores(found: Outcomes) -> dict[str, object]:
    """The score table of one predictor: `overall`, `forced`, `contested`, and the share of the last."""
    everything = np.ones(len(found.mark), bool)
    contested = {**_table(found, found.contested)}
    if found.contested.any():
        contested["chance_top1"] = float(found.chance[found.contested].mean())
    return {
        "test_events": len(found.mark),
        "share_contested": float(found.contested.mean()),
        "share_unknown": float((found.mark == UNKNOWN).mean()),
        "overall": _table(found, everything),
        "forced": _table(found, ~found.contested),
        "contested": contested,
        "open": _table(found, found.open),
    }


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


def _table(found: Outcomes, chosen: np.ndarray) -> dict[str, object]:
    """Means and intervals over the chosen events; without any, only their number."""
    if not chosen.any():
        return {"events": 0}

    def mean(value: np.ndarray) -> float:
        return float(value[chosen].mean())

    return {
        "events": int(chosen.sum()),
        "top1": mean(found.hit),
        "top1_ci": interval(found.hit, chosen),
        "top1_known": _top1_known(found, chosen),
        "top3": mean(found.hit3),
        "macro_recall": _macro_recall(found, chosen),
        "bits_per_switch": mean(found.bits),
        "bits_ci": interval(found.bits, chosen),
        "time_nll_nats": mean(found.slice_nats),
        "time_nll_ci": interval(found.slice_nats, chosen),
        "time_mae_us": mean(found.slice_error_us),
        "time_crps_us": mean(found.slice_crps_us),
        "calibration_error": _calibration_error(found, chosen),
        "time_calibration_error": _rank_error(found.slice_rank[chosen]),
    }


def _top1_known(found: Outcomes, chosen: np.ndarray) -> float | None:
    """`top1` among the events whose task the train part knew; None without any."""
    known = chosen & (found.mark != UNKNOWN)
    return float(found.hit[known].mean()) if known.any() else None


def _macro_recall(found: Outcomes, chosen: np.ndarray) -> float:
    """Mean over marks of the share of its events that were foreseen: the rare task counts as much as the common one."""
    marks, inverse = np.unique(found.mark[chosen], return_inverse=True)
    hits = np.bincount(inverse, weights=found.hit[chosen], minlength=len(marks))
    return float((hits / np.bincount(inverse, minlength=len(marks))).mean())


def _calibration_error(found: Outcomes, chosen: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al., ICML 2017) of the most probable mark, `bins` equal-width bins."""
    confidence, hit = found.confidence[chosen], found.hit[chosen].astype(float)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(which, weights=hit - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(hit))


def _rank_error(rank: np.ndarray) -> float:
    """Largest gap between the ranks of dt in their densities and the uniform law: Kolmogorov's distance of the PIT."""
    ordered, steps = np.sort(rank), np.arange(1, len(rank) + 1) / len(rank)
    return float(max(np.abs(ordered - steps).max(), np.abs(ordered - steps + 1 / len(rank)).max()))


def summarise(tables: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """One row per predictor, regime and mark: the mean of each score over its seeds, with an interval over them."""
    groups: dict[tuple[str, str, str], list[Mapping[str, object]]] = {}
    for table in tables:
        key = (str(table["predictor"]), str(table["regime"]), str(table["mark"]))
        groups.setdefault(key, []).append(table)
    return [_summary(key, members) for key, members in groups.items()]


def _summary(key: tuple[str, str, str], members: Sequence[Mapping[str, object]]) -> dict[str, object]:
    row: dict[str, object] = {"predictor": key[0], "regime": key[1], "mark": key[2], "seeds": len(members)}
    for part in PARTS:
        tables: list[Mapping[str, object]] = [member[part] for member in members]  # type: ignore[misc]
        for name in tables[0]:
            values = [table.get(name) for table in tables]
            if not name.endswith("_ci") and all(isinstance(value, (int, float)) for value in values):
                row[f"{part}.{name}"] = float(np.mean(values))  # type: ignore[arg-type]
                row[f"{part}.{name}_seeds_ci"] = over_seeds(values)  # type: ignore[arg-type]
    return row

"""Open-loop rollouts: a predictor left to itself, beside what really came next.

The predictor draws a mark and a slice length from its own distributions and is told them as if they had happened. The
end state, which no predictor foresees, is drawn from how often each mark ended in it in the train part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.data.lags import column_of
from model.data.streams import STATES, Segment
from model.density import Density
from model.predictor import Predictor, Session

STEPS = 1000


@dataclass(frozen=True)
class Rollout:
    """(steps,) sampled marks and slice lengths in microseconds."""

    mark: np.ndarray
    slice_us: np.ndarray


def roll(predictor: Predictor, train: Sequence[Segment], test: Segment, steps: int, seed: int) -> Rollout | None:
    """Sample `steps` events from the start of `test` on; None where the predictor needs a real run queue."""
    session = predictor.session(test)
    if session is None:
        return None
    end_states = _end_states(train, len(session.marks()))
    draw = np.random.default_rng(seed)
    marks, slices = np.empty(steps, np.int64), np.empty(steps)
    for step in range(steps):
        marks[step], slices[step] = _step(session, end_states, draw)
    return Rollout(marks, slices)


def _step(session: Session, end_states: np.ndarray, draw: np.random.Generator) -> tuple[int, float]:
    probability = session.marks()
    mark = int(draw.choice(len(probability), p=probability / probability.sum()))
    slice_us = _sample(session.slice_of(mark), draw)
    session.push(mark, slice_us, int(draw.choice(len(STATES), p=end_states[mark])))
    return mark, slice_us


def _sample(density: Density, draw: np.random.Generator) -> float:
    return float(density.quantile(float(draw.uniform(1e-6, 1 - 1e-6)))[0])


def _end_states(train: Sequence[Segment], known: int) -> np.ndarray:
    """(marks, states) shares; a mark that never ran takes those of all."""
    marks, states = column_of(train, "mark"), column_of(train, "end_state")
    counts = np.zeros((known, len(STATES)))
    np.add.at(counts, (marks, states), 1)
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    return counts / counts.sum(axis=1, keepdims=True)


def compare(made: Rollout, test: Segment, names: Sequence[str]) -> dict[str, object]:
    """The rollout beside as many real events: how far apart marks, their pairs and triples, and slice lengths are.

    Distances of marks, pairs and triples are total variation (0 the same, 1 nothing in common); that of slices is
    Kolmogorov's. `real_*` says how far as many other real events, next to those, are from them: what to expect of a
    perfect predictor. As many, because fewer events are further apart by chance alone.
    """
    steps = min(len(made.mark), len(test))
    mark, slice_us = made.mark[:steps], made.slice_us[:steps]
    real, real_us = test.of(test.stream.mark)[:steps], test.of(test.stream.slice_us())[:steps]
    beside = _beside(test, steps)
    other, other_us = test.stream.mark[beside], test.stream.slice_us()[beside]
    return {
        "steps": steps,
        "mark_distance": _variation(mark, real),
        "pair_distance": _variation(_runs(mark, 2), _runs(real, 2)),
        "triple_distance": _variation(_runs(mark, 3), _runs(real, 3)),
        "slice_distance": _kolmogorov(slice_us, real_us),
        "real_mark_distance": _variation(real, other),
        "real_pair_distance": _variation(_runs(real, 2), _runs(other, 2)),
        "real_triple_distance": _variation(_runs(real, 3), _runs(other, 3)),
        "real_slice_distance": _kolmogorov(real_us, other_us),
        "frequencies": _frequencies(mark, real, names),
        "marks": mark.tolist(),
        "slice_us": [round(value, 3) for value in slice_us.tolist()],
        "real_marks": real.tolist(),
        "real_slice_us": real_us.tolist(),
        "names": list(names),
    }


def _beside(test: Segment, steps: int) -> slice:
    """The events after the first `steps` of the test part; where there are not as many, those before it."""
    after = test.start + steps
    if after + steps <= len(test.stream):
        return slice(after, after + steps)
    return slice(max(0, test.start - steps), test.start) if test.start else slice(after, len(test.stream))


def _frequencies(mark: np.ndarray, real: np.ndarray, names: Sequence[str]) -> list[dict[str, object]]:
    made, true = Counter(mark.tolist()), Counter(real.tolist())
    order = sorted(set(made) | set(true), key=lambda code: (-true[code], code))
    return [{"mark": names[c], "rollout": made[c] / len(mark), "real": true[c] / len(real)} for c in order]


def _runs(mark: np.ndarray, length: int) -> np.ndarray:
    """A number for each run of `length` marks; marks stay below 2^21."""
    runs = np.zeros(max(len(mark) - length + 1, 0), np.int64)
    for place in range(length):
        runs = runs << 21 | mark[place : place + len(runs)].astype(np.int64)
    return runs


def _variation(left: np.ndarray, right: np.ndarray) -> float:
    symbols, inverse = np.unique(np.concatenate([left, right]), return_inverse=True)
    share = np.bincount(inverse[: len(left)], minlength=len(symbols)) / max(len(left), 1)
    other = np.bincount(inverse[len(left) :], minlength=len(symbols)) / max(len(right), 1)
    return float(np.abs(share - other).sum() / 2)


def _kolmogorov(left: np.ndarray, right: np.ndarray) -> float:
    points = np.concatenate([left, right])
    below = np.searchsorted(np.sort(left), points, side="right") / max(len(left), 1)
    other = np.searchsorted(np.sort(right), points, side="right") / max(len(right), 1)
    return float(np.abs(below - other).max())

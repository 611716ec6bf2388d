"""Open-loop rollouts: events sampled from a predictor, compared with the events that really followed.

The predictor draws a mark and a slice length from its own distributions and continues as if they had happened. No
predictor predicts the end state; it is drawn from each mark's shares of end states in the train part.
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


def sample_rollout(
    predictor: Predictor, train: Sequence[Segment], test: Segment, steps: int, seed: int
) -> Rollout | None:
    """Sample `steps` events from the start of `test` on; None if the predictor needs a real run queue."""
    session = predictor.session(test)
    if session is None:
        return None
    end_states = _end_states(train, len(session.marks()))
    rng = np.random.default_rng(seed)
    marks, slices = np.empty(steps, np.int64), np.empty(steps)
    for step in range(steps):
        marks[step], slices[step] = _step(session, end_states, rng)
    return Rollout(marks, slices)


def _step(session: Session, end_states: np.ndarray, rng: np.random.Generator) -> tuple[int, float]:
    probability = session.marks()
    mark = int(rng.choice(len(probability), p=probability / probability.sum()))
    slice_us = _sample(session.slice_of(mark), rng)
    session.push(mark, slice_us, int(rng.choice(len(STATES), p=end_states[mark])))
    return mark, slice_us


def _sample(density: Density, rng: np.random.Generator) -> float:
    return float(density.quantile(float(rng.uniform(1e-6, 1 - 1e-6)))[0])


def _end_states(train: Sequence[Segment], marks: int) -> np.ndarray:
    """Return (marks, states) shares of end states; a mark that never ran gets the shares of all marks."""
    counts = np.zeros((marks, len(STATES)))
    np.add.at(counts, (column_of(train, "mark"), column_of(train, "end_state")), 1)
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    return counts / counts.sum(axis=1, keepdims=True)


def compare_rollout(rollout: Rollout, test: Segment, names: Sequence[str]) -> dict[str, object]:
    """Return the distances of marks, pairs, triples and slice lengths between a rollout and as many real events.

    Total variation for marks, pairs and triples (0: same shares, 1: nothing in common); Kolmogorov's for slices. Each
    `real_*` is the distance between these real events and as many neighbouring ones: what a perfect predictor would
    reach, since small samples differ by chance alone.
    """
    steps = min(len(rollout.mark), len(test))
    mark, slice_us = rollout.mark[:steps], rollout.slice_us[:steps]
    real, real_us = test.of(test.stream.mark)[:steps], test.of(test.stream.slice_us())[:steps]
    neighbours = _neighbours(test, steps)
    other, other_us = test.stream.mark[neighbours], test.stream.slice_us()[neighbours]
    return {
        "steps": steps,
        "mark_distance": _variation(mark, real),
        "pair_distance": _variation(_ngrams(mark, 2), _ngrams(real, 2)),
        "triple_distance": _variation(_ngrams(mark, 3), _ngrams(real, 3)),
        "slice_distance": _kolmogorov(slice_us, real_us),
        "real_mark_distance": _variation(real, other),
        "real_pair_distance": _variation(_ngrams(real, 2), _ngrams(other, 2)),
        "real_triple_distance": _variation(_ngrams(real, 3), _ngrams(other, 3)),
        "real_slice_distance": _kolmogorov(real_us, other_us),
        "frequencies": _frequencies(mark, real, names),
        "marks": mark.tolist(),
        "slice_us": [round(value, 3) for value in slice_us.tolist()],
        "real_marks": real.tolist(),
        "real_slice_us": real_us.tolist(),
        "names": list(names),
    }


def _neighbours(test: Segment, steps: int) -> slice:
    """Return the events after the first `steps` of the test part, or before it if too few follow."""
    after = test.start + steps
    if after + steps <= len(test.stream):
        return slice(after, after + steps)
    return slice(max(0, test.start - steps), test.start) if test.start else slice(after, len(test.stream))


def _frequencies(mark: np.ndarray, real: np.ndarray, names: Sequence[str]) -> list[dict[str, object]]:
    sampled, true = Counter(mark.tolist()), Counter(real.tolist())
    order = sorted(set(sampled) | set(true), key=lambda code: (-true[code], code))
    return [{"mark": names[c], "rollout": sampled[c] / len(mark), "real": true[c] / len(real)} for c in order]


def _ngrams(mark: np.ndarray, length: int) -> np.ndarray:
    """Encode each run of `length` marks as one number; marks stay below 2^21."""
    ngrams = np.zeros(max(len(mark) - length + 1, 0), np.int64)
    for offset in range(length):
        ngrams = ngrams << 21 | mark[offset : offset + len(ngrams)].astype(np.int64)
    return ngrams


def _variation(left: np.ndarray, right: np.ndarray) -> float:
    """Return the total variation distance of the shares of symbols."""
    symbols, inverse = np.unique(np.concatenate([left, right]), return_inverse=True)
    share = np.bincount(inverse[: len(left)], minlength=len(symbols)) / max(len(left), 1)
    other = np.bincount(inverse[len(left) :], minlength=len(symbols)) / max(len(right), 1)
    return float(np.abs(share - other).sum() / 2)


def _kolmogorov(left: np.ndarray, right: np.ndarray) -> float:
    points = np.concatenate([left, right])
    below = np.searchsorted(np.sort(left), points, side="right") / max(len(left), 1)
    other = np.searchsorted(np.sort(right), points, side="right") / max(len(right), 1)
    return float(np.abs(below - other).max())

"""A replayed scheduler, corrected by boosted trees that learn from its errors.

The replay is that of the recording's kernel. The trees weigh the candidates of contested switches by their features
(`model.replay.candidates.FEATURES`). The share of the trees, down to none, is chosen on the validation part. On that
part the trees never lose hits or bits; on the test part they may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.data.streams import Segment
from model.predictor import OnProgress, Prediction
from model.predictors.scheduling_policy import SchedulingPolicy
from model.predictors.trees import TreeEnsemble
from model.replay.candidates import Candidates
from model.replay.events import read_events
from model.replay.guesses import guesses
from model.replay.kernel import create_replay
from model.replay.names import read_thread_names
from model.settings import MIN_SWITCHES, ReplayResidualSettings

LEARNING_RATE = 0.15
SHARES = (1.0, 0.95, 0.8, 0.5, 0.2, 0.0)  # of the trees in the probabilities; the rest is the replay's


@dataclass(frozen=True)
class Choices:
    """The candidates of contested switches in which the picked task is among them."""

    rows: np.ndarray  # (m, features)
    picked: np.ndarray  # (m,) bool
    switch: np.ndarray  # (m,) index of the switch
    wrong: np.ndarray  # (switches,) bool: the replay ranked another task first

    @classmethod
    def of(cls, candidates: Candidates, segment: Segment) -> Choices:
        """Select the choices of a segment."""
        offsets, size = candidates.ranking.offsets, np.diff(candidates.ranking.offsets)
        event = np.repeat(np.arange(len(size)), size)
        picked = candidates.ranking.tid == segment.of(segment.stream.tid)[event]
        listed = np.bincount(event, weights=picked, minlength=len(size)) > 0
        used = segment.of(segment.stream.contested) & listed & (size > 1)
        rows = used[event]
        switch = (np.cumsum(used) - 1)[event[rows]]
        return cls(candidates.rows[rows], picked[rows], switch, ~picked[offsets[:-1][used]])

    @classmethod
    def concatenate(cls, parts: Sequence[Choices]) -> Choices:
        """Join the choices of several segments, with consecutive switch indices."""
        offsets = np.cumsum([0, *(len(part.wrong) for part in parts[:-1])])
        switch = np.concatenate([part.switch + offset for part, offset in zip(parts, offsets, strict=True)])
        rows, picked, wrong = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "picked", "wrong")
        )
        return cls(rows, picked, switch, wrong)


class ReplayResidual(SchedulingPolicy):
    """Learns from about `most` contested switches, drawn from those where the replay was wrong and from the others.

    Each kind may use at least half of `most`; if one kind has fewer switches, the other uses the rest.
    """

    seeded = True
    settings_type = ReplayResidualSettings

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        super().__init__()
        chosen = ReplayResidualSettings(**settings)
        self.rounds, self.depth, self.most, self.seed = chosen.rounds, chosen.depth, chosen.most, seed
        self.trees: TreeEnsemble | None = None
        self.share, self.keeps_first = 0.0, True

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Replay, count, grow trees, and choose their share by `valid`; without it only the replay is used."""
        on_progress("replaying", 0, None)
        candidates = [_candidates(segment) for segment in train]
        self._fit_counts([each.ranking for each in candidates], train, valid, marks)
        if not valid:
            return []
        on_progress("growing trees", 0, None)
        self.trees = self._grow(candidates, train)
        return self._choose([_candidates(segment) for segment in valid], valid) if self.trees is not None else []

    def predict(self, segment: Segment) -> Prediction:
        """Predict marks from the replay and the trees, slices from the histograms."""
        candidates = _candidates(segment)
        weights = self._weights(candidates, self.share, self.keeps_first)
        tid = candidates.ranking.likeliest(weights)
        return Prediction(self.table.log_probs(candidates.ranking, weights), self.slices.predict(segment), tid)

    def guesses(self, folder: Path) -> list[str]:
        """Return what the replay of a recording had to guess."""
        return guesses(folder)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return counts, trees, and the chosen share of the trees."""
        trees = self.trees.arrays() if self.trees is not None else {}
        chosen = {"share": np.array([self.share]), "keeps_first": np.array([int(self.keeps_first)])}
        return {**super().arrays(), **chosen, **{f"trees.{name}": array for name, array in trees.items()}}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        super().restore(arrays)
        self.share, self.keeps_first = float(arrays["share"][0]), bool(arrays["keeps_first"][0])
        trees = {name[6:]: array for name, array in arrays.items() if name.startswith("trees.")}
        self.trees = TreeEnsemble.of(trees) if trees else None

    def _grow(self, candidates: Sequence[Candidates], train: Sequence[Segment]) -> TreeEnsemble | None:
        """Grow trees on a draw of the contested switches, each weighted by how many it stands for."""
        choices = Choices.concatenate([Choices.of(*pair) for pair in zip(candidates, train, strict=True)])
        keep, weight = self._draw(choices.wrong)
        if keep.sum() < MIN_SWITCHES or choices.picked.all():
            return None
        used = keep[choices.switch]
        data = (choices.rows[used], choices.picked[used], weight[choices.switch][used])
        return TreeEnsemble.fit(*data, rounds=self.rounds, depth=self.depth, rate=LEARNING_RATE, seed=self.seed)

    def _draw(self, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (switches,) whether each switch is used, and its weight (the inverse of its sampling rate)."""
        counts = (int((~wrong).sum()), int(wrong.sum()))
        limits = [max(self.most - other, self.most // 2) for other in reversed(counts)]
        shares = np.array([min(limit / max(count, 1), 1.0) for limit, count in zip(limits, counts, strict=True)])
        share = shares[wrong.astype(int)]
        return np.random.default_rng(self.seed).random(len(wrong)) < share, 1 / share

    def _choose(self, candidates: Sequence[Candidates], valid: Sequence[Segment]) -> list[dict[str, float]]:
        """Choose the mixture of fewest bits among those that hit at least as often as the replay alone."""
        mark = np.concatenate([segment.of(segment.stream.mark) for segment in valid])
        tried = []
        for share in SHARES:
            for keeps_first in (True, False) if share else (True,):
                log_probs = np.concatenate(
                    [self.table.log_probs(each.ranking, self._weights(each, share, keeps_first)) for each in candidates]
                )
                bits = float(-log_probs[np.arange(len(mark)), mark].mean() / np.log(2))
                hits = float((log_probs.argmax(axis=1) == mark).mean())
                row = {"share": share, "keeps_first": float(keeps_first), "valid_bits": bits, "valid_top1": hits}
                tried.append(row)
        replay = tried[-1]
        good = [row for row in tried if row["valid_top1"] >= replay["valid_top1"]]
        best = min(good, key=lambda row: row["valid_bits"])
        self.share, self.keeps_first = best["share"], bool(best["keeps_first"])
        return tried

    def _weights(self, candidates: Candidates, share: float, keeps_first: bool) -> np.ndarray:
        """Return (m,) probabilities of the candidates; with `keeps_first` the replay's first stays the likeliest."""
        offsets = candidates.ranking.offsets
        replay = _normalise(self.table.weights(candidates.ranking), offsets)
        if self.trees is None or not share:
            return replay
        trees = _normalise(self.trees.probabilities(candidates.rows), offsets)
        mixed = share * trees + (1 - share) * replay
        return _with_first_on_top(mixed, offsets) if keeps_first else mixed


def _candidates(segment: Segment) -> Candidates:
    names = read_thread_names(segment.stream.folder)
    events = read_events(segment.stream, segment.stop)
    return Candidates.collect(segment, events, names, create_replay(segment.stream, names))


def _normalise(weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Make the weights of each event's entries add up to 1."""
    total = np.add.reduceat(np.append(weights, 0.0), np.minimum(offsets[:-1], len(weights)))
    return weights / np.maximum(np.repeat(total, np.diff(offsets)), 1e-300)


def _with_first_on_top(weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Swap the weights of an event's first and likeliest entry, so that the first is the likeliest."""
    swapped = weights.copy()
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        if end - begin > 1:
            best = begin + int(weights[begin:end].argmax())
            swapped[begin], swapped[best] = weights[best], weights[begin]
    return swapped

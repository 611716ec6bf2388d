"""A replayed scheduler, and what is learned of where it errs: boosted trees over what it knows of each candidate.

Which replay it is follows from the kernel's release. The trees weigh the runnable tasks at contested switches; the
validation part decides how far they are listened to, down to not at all, so that they cost it neither a hit nor a bit
there. On other switches they may do either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from model.data.streams import Segment
from model.predictor import OnProgress, Prediction
from model.predictors.scheduling_policy import Ranked, joined
from model.predictors.trees import TreeEnsemble
from model.replay import events, names
from model.replay.candidates import Candidates
from model.replay.replays import replay_of
from model.settings import Range

RATE = 0.15
SHARES = (1.0, 0.95, 0.8, 0.5, 0.2, 0.0)  # of the trees in the probabilities, the rest being the bare replay's
FEWEST = 50  # contested switches to learn from
DEEPEST = 32  # levels of a tree


@dataclass(frozen=True)
class Choices:
    """The candidates of contested switches of which one is known to have been picked; `wrong` is per switch."""

    rows: np.ndarray  # (m, f)
    yes: np.ndarray  # (m,) bool: the one that was picked
    event: np.ndarray  # (m,) which of the switches
    wrong: np.ndarray  # (switches,) bool: another one was the replay's first

    @classmethod
    def of(cls, looked: Candidates, segment: Segment) -> Choices:
        """What of a segment can be learned from."""
        at, size = looked.ranking.at, np.diff(looked.ranking.at)
        event = np.repeat(np.arange(len(size)), size)
        yes = looked.ranking.tid == segment.of(segment.stream.tid)[event]
        known = np.bincount(event, weights=yes, minlength=len(size)) > 0
        used = segment.of(segment.stream.contested) & known & (size > 1)
        chosen = used[event]
        return cls(looked.rows[chosen], yes[chosen], (np.cumsum(used) - 1)[event[chosen]], ~yes[at[:-1][used]])

    @classmethod
    def joined(cls, parts: Sequence[Choices]) -> Choices:
        """Those of several segments, switches numbered on."""
        begins = np.cumsum([0, *(len(part.wrong) for part in parts[:-1])])
        event = np.concatenate([part.event + begin for part, begin in zip(parts, begins, strict=True)])
        rows, yes, wrong = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "yes", "wrong")
        )
        return cls(rows, yes, event, wrong)


class ReplayResidual(Ranked):
    """About `most` contested switches are learned from: those that the replay got wrong, and as many others as fit.

    Where the wrong ones are more than half, either kind has half the room.
    """

    seeded = True

    def __init__(
        self,
        rounds: Annotated[int, Range(1)] = 80,
        depth: Annotated[int, Range(1, DEEPEST)] = 4,
        most: Annotated[int, Range(FEWEST)] = 20_000,
        seed: Annotated[int, Range(0, 2**32 - 1)] = 0,
    ) -> None:
        super().__init__()
        self.rounds, self.depth, self.most, self.seed = rounds, depth, most, seed
        self.trees: TreeEnsemble | None = None
        self.share, self.keeps_first = 0.0, True

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Replay, count, grow trees, and choose by `valid`; without it the replay alone is believed."""
        on_progress("replaying", 0, None)
        seen = [_look(segment) for segment in train]
        self.table.fit(joined([each.ranking for each in seen]), train, marks)
        self._shape(marks)
        self.slices.fit(train)
        if not valid:
            return []
        self.slices.choose(valid)
        on_progress("growing trees", 0, None)
        self.trees = self._grow(seen, train)
        return self._choose([_look(segment) for segment in valid], valid) if self.trees is not None else []

    def predict(self, segment: Segment) -> Prediction:
        """Marks from the replay and the trees, slices from the histograms."""
        looked = _look(segment)
        told = self._weights(looked, self.share, self.keeps_first)
        return Prediction(self.table.log_probs(looked.ranking, told), self.slices.predict(segment))

    def arrays(self) -> dict[str, np.ndarray]:
        """Counts, trees, and how far they are listened to."""
        trees = self.trees.arrays() if self.trees is not None else {}
        chosen = {"share": np.array([self.share]), "keeps_first": np.array([int(self.keeps_first)])}
        return {**super().arrays(), **chosen, **{f"trees.{name}": array for name, array in trees.items()}}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        super().restore(arrays)
        self.share, self.keeps_first = float(arrays["share"][0]), bool(arrays["keeps_first"][0])
        trees = {name[6:]: array for name, array in arrays.items() if name.startswith("trees.")}
        self.trees = TreeEnsemble.of(trees) if trees else None

    def _grow(self, seen: Sequence[Candidates], train: Sequence[Segment]) -> TreeEnsemble | None:
        """From contested switches alone; those left out are made up for by the weight of those drawn."""
        found = Choices.joined([Choices.of(looked, segment) for looked, segment in zip(seen, train, strict=True)])
        keep, weight = self._draw(found.wrong)
        if keep.sum() < FEWEST or found.yes.all():
            return None
        used = keep[found.event]
        told = (found.rows[used], found.yes[used], weight[found.event][used])
        return TreeEnsemble.fit(*told, rounds=self.rounds, depth=self.depth, rate=RATE, seed=self.seed)

    def _draw(self, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(events,) whether a contested switch is learned from, and how many it stands for."""
        counts = (int((~wrong).sum()), int(wrong.sum()))
        rooms = [max(self.most - other, self.most // 2) for other in reversed(counts)]
        odds = np.array([min(room / max(count, 1), 1.0) for room, count in zip(rooms, counts, strict=True)])
        chance = odds[wrong.astype(int)]
        return np.random.default_rng(self.seed).random(len(wrong)) < chance, 1 / chance

    def _choose(self, seen: Sequence[Candidates], valid: Sequence[Segment]) -> list[dict[str, float]]:
        """The fewest bits among the ways that hit as often as the replay by itself."""
        mark = np.concatenate([segment.of(segment.stream.mark) for segment in valid])
        tried = []
        for share in SHARES:
            for keeps_first in (True, False) if share else (True,):
                told = [self.table.log_probs(each.ranking, self._weights(each, share, keeps_first)) for each in seen]
                log_probs = np.concatenate(told)
                bits = float(-log_probs[np.arange(len(mark)), mark].mean() / np.log(2))
                hits = float((log_probs.argmax(axis=1) == mark).mean())
                row = {"share": share, "keeps_first": float(keeps_first), "valid_bits": bits, "valid_top1": hits}
                tried.append(row)
        bare = tried[-1]
        best = min((row for row in tried if row["valid_top1"] >= bare["valid_top1"]), key=lambda row: row["valid_bits"])
        self.share, self.keeps_first = best["share"], bool(best["keeps_first"])
        return tried

    def _weights(self, looked: Candidates, share: float, keeps_first: bool) -> np.ndarray:
        """(m,) how likely each candidate is."""
        bare = _normalised(self.table.weights(looked.ranking), looked.ranking.at)
        if self.trees is None or not share:
            return bare
        told = _normalised(self.trees.probabilities(looked.rows), looked.ranking.at)
        mixed = share * told + (1 - share) * bare
        return _with_first_on_top(mixed, looked.ranking.at) if keeps_first else mixed


def _look(segment: Segment) -> Candidates:
    called = names.read(segment.stream.folder)
    found = events.read(segment.stream, segment.stop)
    return Candidates.of(segment, found, called, replay_of(segment.stream, called))


def _normalised(weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    total = np.add.reduceat(np.append(weights, 0.0), np.minimum(at[:-1], len(weights)))
    return weights / np.maximum(np.repeat(total, np.diff(at)), 1e-300)


def _with_first_on_top(weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Where another task is likelier than the replay's own pick, the two change places."""
    swapped = weights.copy()
    for begin, end in zip(at[:-1].tolist(), at[1:].tolist(), strict=True):
        if end - begin > 1:
            best = begin + int(weights[begin:end].argmax())
            swapped[begin], swapped[best] = weights[best], weights[begin]
    return swapped

"""The base class of the predictors that use trees, and its parts: features, the descent of a tree, boosted trees.

The features are the last few events, and when and how each common mark last left this CPU (its recency).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.counts.slice_histograms import SliceHistograms
from model.data.lags import column_of, lagged
from model.data.streams import Segment
from model.density import Histogram
from model.predictor import OnProgress, Prediction
from model.settings import WithSettings

SLICE_LAGS = 2
LAGS = 5  # events whose mark, length and state are features
WINDOW = 256  # events; a mark that is further back counts as not seen
TRACKED = 24  # the most common marks, whose recency is a feature
NODES = ("left", "right", "feature", "threshold", "value")


@dataclass(frozen=True)
class Tail:
    """(n,) each: the events of one stream, or its last few, in time order."""

    mark: np.ndarray
    slice_us: np.ndarray
    end_state: np.ndarray

    @classmethod
    def of(cls, segment: Segment) -> tuple[Tail, int]:
        """Return the events that the features of a segment need, and the index at which the segment begins."""
        stream, begin = segment.stream, max(0, segment.start - WINDOW)
        rows = slice(begin, segment.stop)
        tail = cls(stream.mark[rows], stream.slice_us(begin, segment.stop), stream.end_state[rows])
        return tail, segment.start - begin


def features(tail: Tail, start: int, stop: int, tracked: np.ndarray) -> np.ndarray:
    """Return (stop - start, LAGS * 3 + tracked * 3) float32 features of events start..stop-1.

    Per lag: mark, log slice, end state. Per tracked mark: log events and log microseconds since it last ended, and the
    state it ended in; -1 where it was not seen. `stop` may be one past the last event.
    """
    log_us = np.log(tail.slice_us)
    columns = [
        lagged(tail.mark.astype(np.float32), start, stop, LAGS, -1),
        lagged(log_us.astype(np.float32), start, stop, LAGS, -1),
        lagged(tail.end_state.astype(np.float32), start, stop, LAGS, -1),
    ]
    ended_us = np.concatenate([[0.0], np.cumsum(tail.slice_us)])  # the time at which event i begins
    for mark in tracked:
        columns.append(_recency(tail, ended_us, int(mark), start, stop))
    return np.concatenate(columns, axis=1)


def _recency(tail: Tail, ended_us: np.ndarray, mark: int, start: int, stop: int) -> np.ndarray:
    index = np.where(tail.mark[: stop - 1] == mark, np.arange(stop - 1), -1) if stop > 1 else np.zeros(0, np.int64)
    last = np.concatenate([[-1], np.maximum.accumulate(index)])[start:stop]
    event = np.arange(start, stop)
    seen = (last >= 0) & (event - last <= WINDOW)
    known = np.maximum(last, 0)
    since_us = np.maximum(ended_us[event] - ended_us[np.minimum(known + 1, len(ended_us) - 1)], 0)
    state = tail.end_state[np.minimum(known, len(tail.end_state) - 1)] if len(tail.end_state) else np.zeros(len(event))
    recency = [np.log(np.maximum(event - last, 1)), np.log1p(since_us), state]
    return np.stack([np.where(seen, value, -1) for value in recency], axis=1).astype(np.float32)


def leaves(
    rows: np.ndarray, left: np.ndarray, right: np.ndarray, feature: np.ndarray, threshold: np.ndarray
) -> np.ndarray:
    """Return (m,) the leaf of each row (m, f), by a descent of all rows, a level at a time. `left` is -1 at a leaf."""
    node = np.zeros(len(rows), np.int64)
    while (inner := left[node] >= 0).any():
        parent, row = node[inner], np.flatnonzero(inner)
        goes_left = rows[row, feature[parent]] <= threshold[parent]
        node[inner] = np.where(goes_left, left[parent], right[parent])
    return node


class TreeBased(WithSettings):
    """A subclass overrides `learn` and `probabilities`."""

    inputs = "slices"
    seeded = False

    def fit(
        self, train: Sequence[Segment], valid: Sequence[Segment], marks: int, on_progress: OnProgress
    ) -> list[dict[str, float]]:
        """Grow trees on the train part, choose by the validation part; return the history of `learn`."""
        on_progress("growing trees", 0, None)
        common = np.argsort(-np.bincount(column_of(train, "mark"), minlength=marks), kind="stable")
        self._shape(marks, np.sort(common[:TRACKED]))
        self.slices.fit(train)
        if valid:
            self.slices.choose(valid)
        held_out = (self.features(valid), column_of(valid, "mark")) if valid else None
        return self.learn((self.features(train), column_of(train, "mark")), held_out)

    def learn(
        self, train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray] | None
    ) -> list[dict[str, float]]:
        """Grow from features (n, f) and marks (n,); return the history."""
        raise NotImplementedError

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, marks) for features (n, f)."""
        raise NotImplementedError

    def features(self, segments: Sequence[Segment]) -> np.ndarray:
        """Return (events, f) float32 over all segments."""
        tails = [(*Tail.of(segment), len(segment)) for segment in segments]
        return np.concatenate([features(tail, begin, begin + size, self.tracked) for tail, begin, size in tails])

    def predict(self, segment: Segment) -> Prediction:
        """Predict marks by the trees, slices by the histograms."""
        return Prediction(np.log(self.probabilities(self.features([segment]))), self.slices.predict(segment))

    def session(self, segment: Segment) -> TreeBasedSession:
        """Start a session before the first event of the segment."""
        tail, begin = Tail.of(segment)
        return TreeBasedSession(self, Tail(tail.mark[:begin], tail.slice_us[:begin], tail.end_state[:begin]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the histograms and the tracked marks."""
        return {"marks": np.array([self.marks]), "tracked": self.tracked, **self.slices.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        self._shape(int(arrays["marks"][0]), np.array(arrays["tracked"]))
        self.slices.restore(arrays)

    def _shape(self, marks: int, tracked: np.ndarray) -> None:
        self.marks, self.tracked = marks, tracked
        self.slices = SliceHistograms(marks, SLICE_LAGS)


class TreeBasedSession:
    """The last WINDOW events of one stream."""

    def __init__(self, trees: TreeBased, tail: Tail) -> None:
        self.trees, self.tail = trees, tail

    def marks(self) -> np.ndarray:
        """Return (marks,) probabilities of the next mark."""
        size = len(self.tail.mark)
        return self.trees.probabilities(features(self.tail, size, size + 1, self.trees.tracked))[0]

    def slice_of(self, mark: int) -> Histogram:
        """Return the density of the next slice if `mark` is picked."""
        absent = [self.trees.marks] * SLICE_LAGS
        return self.trees.slices.after_marks(mark, [*self.tail.mark[: -SLICE_LAGS - 1 : -1].tolist(), *absent])

    def push(self, mark: int, slice_us: float, end_state: int) -> None:
        """Append an event, and drop those outside WINDOW."""
        event = (mark, slice_us, end_state)
        columns = (self.tail.mark, self.tail.slice_us, self.tail.end_state)
        self.tail = Tail(*(np.append(old, new)[-WINDOW:] for old, new in zip(columns, event, strict=True)))


@dataclass(frozen=True)
class TreeEnsemble:
    """Boosted regression trees for a yes or no (Friedman, Annals of Statistics 29(5), 2001), as plain arrays.

    The nodes of the trees follow each other; a child is numbered from its tree's first node, and is -1 at a leaf.
    """

    nodes: Mapping[str, np.ndarray]  # NODES, each (nodes,)
    first: np.ndarray  # (trees,)
    begin: float  # log odds before any tree

    @classmethod
    def fit(
        cls, rows: np.ndarray, yes: np.ndarray, weight: np.ndarray, *, rounds: int, depth: int, rate: float, seed: int
    ) -> TreeEnsemble:
        """Learn from rows (m, f) which of them are `yes` (m,). Each tree sees half of the rows, drawn by `seed`."""
        from sklearn.ensemble import GradientBoostingClassifier

        learner = GradientBoostingClassifier(
            n_estimators=rounds,
            max_depth=depth,
            learning_rate=rate,
            subsample=0.5,
            min_samples_leaf=20,
            random_state=seed,
        ).fit(rows, yes, weight)
        trees = [tree.tree_ for tree in learner.estimators_[:, 0]]
        share = float(np.average(yes, weights=weight))
        columns = {
            "left": [tree.children_left for tree in trees],
            "right": [tree.children_right for tree in trees],
            "feature": [tree.feature for tree in trees],
            "threshold": [tree.threshold for tree in trees],
            "value": [rate * tree.value[:, 0, 0] for tree in trees],
        }
        first = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        nodes = {name: np.concatenate(parts) for name, parts in columns.items()}
        return cls(nodes, first, float(np.log(share / (1 - share))))

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return (m,) probabilities of yes for rows (m, f)."""
        odds = np.full(len(rows), self.begin)
        for first in self.first:
            odds += self._leaf_values(rows, int(first))
        return 1 / (1 + np.exp(-odds))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the trees as arrays."""
        return {**self.nodes, "first": self.first, "begin": np.array([self.begin])}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> TreeEnsemble:
        """Make an ensemble of what `arrays` returned."""
        return cls(
            {name: np.array(arrays[name]) for name in NODES}, np.array(arrays["first"]), float(arrays["begin"][0])
        )

    def _leaf_values(self, rows: np.ndarray, first: int) -> np.ndarray:
        left, right, feature, threshold, value = (self.nodes[name][first:] for name in NODES)
        return value[leaves(rows, left, right, feature, threshold)]

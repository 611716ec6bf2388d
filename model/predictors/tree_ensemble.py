"""Boosted regression trees for a yes or no (Friedman, Greedy Function Approximation, 2001), kept as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

NODES = ("left", "right", "feature", "threshold", "value")


@dataclass(frozen=True)
class Boosted:
    """The nodes of all trees, one after another; a tree's children are counted from its first node, -1 at a leaf."""

    nodes: Mapping[str, np.ndarray]  # NODES, each (nodes,)
    first: np.ndarray  # (trees,)
    begin: float  # log odds before any tree

    @classmethod
    def fit(
        cls, rows: np.ndarray, yes: np.ndarray, weight: np.ndarray, *, rounds: int, depth: int, rate: float, seed: int
    ) -> Boosted:
        """Learn from rows (m, f) which are `yes` (m,); half of them, drawn by `seed`, for every tree."""
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
        """(m,) of yes."""
        odds = np.full(len(rows), self.begin)
        for first in self.first:
            odds += self._leaf_values(rows, int(first))
        return 1 / (1 + np.exp(-odds))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it."""
        return {**self.nodes, "first": self.first, "begin": np.array([self.begin])}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Boosted:
        """Back from what `arrays` gave."""
        return cls(
            {name: np.array(arrays[name]) for name in NODES}, np.array(arrays["first"]), float(arrays["begin"][0])
        )

    def _leaf_values(self, rows: np.ndarray, first: int) -> np.ndarray:
        left, right, feature, threshold, value = (self.nodes[name][first:] for name in NODES)
        node = np.zeros(len(rows), np.int64)
        while (inner := left[node] >= 0).any():
            at, row = node[inner], np.flatnonzero(inner)
            node[inner] = np.where(rows[row, feature[at]] <= threshold[at], left[at], right[at])
        return value[node]

"""One decision tree (Breiman et al., Classification and Regression Trees, 1984), cheap enough for a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from model.predictors.trees import TreeBased, leaves
from model.settings import DecisionTreeSettings

NODE_COLUMNS = ("children_left", "children_right", "feature", "threshold")
DEPTHS = (4, 6, 8, 10, 12)


class DecisionTree(TreeBased):
    """Without a `depth`, the one of DEPTHS with the fewest bits on the validation part.

    The probabilities of a leaf are its counts plus one event, divided among the marks by how common they are.
    """

    settings_type = DecisionTreeSettings

    def __init__(self, **settings: Any) -> None:
        chosen = DecisionTreeSettings(**settings)
        self.depth, self.least_in_leaf = chosen.depth, chosen.least_in_leaf

    def learn(
        self, train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray] | None
    ) -> list[dict[str, float]]:
        """Grow one tree per depth tried and keep the best; the history has one row per depth."""
        tried = [self.depth] if self.depth else list(DEPTHS) if valid else [DEPTHS[-1]]
        grown = [self._grow(depth, *train) for depth in tried]
        history = []
        for depth, tree in zip(tried, grown, strict=True):
            self.tree = tree
            bits = -np.log2(self.probabilities(valid[0])[np.arange(len(valid[1])), valid[1]]).mean() if valid else 0.0
            history.append({"depth": float(depth), "valid_bits": float(bits)})
        self.tree = grown[int(np.argmin([row["valid_bits"] for row in history]))]
        return history

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, marks) for features (n, f): those of the leaf that each row descends to."""
        return self.tree["leaf"][leaves(rows, *(self.tree[name] for name in NODE_COLUMNS))]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return nodes, leaves and histograms."""
        return {**super().arrays(), **{f"tree.{name}": array for name, array in self.tree.items()}}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        super().restore(arrays)
        self.tree = {name: np.array(arrays[f"tree.{name}"]) for name in (*NODE_COLUMNS, "leaf")}

    def _grow(self, depth: int, rows: np.ndarray, marks: np.ndarray) -> dict[str, np.ndarray]:
        classifier = DecisionTreeClassifier(
            criterion="entropy", max_depth=depth, min_samples_leaf=self.least_in_leaf, random_state=0
        ).fit(rows, marks)
        tree = classifier.tree_
        counts = np.zeros((tree.node_count, self.marks))
        counts[:, classifier.classes_] = tree.value[:, 0] * tree.weighted_n_node_samples[:, None]
        common = (np.bincount(marks, minlength=self.marks) + 0.5) / (len(marks) + 0.5 * self.marks)
        leaf = (counts + common) / (counts.sum(axis=1, keepdims=True) + 1)
        return {**{name: np.array(getattr(tree, name)) for name in NODE_COLUMNS}, "leaf": leaf}

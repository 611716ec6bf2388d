"""Gradient boosted trees (LightGBM: Ke et al., NIPS 2017) on marks, slices and recency. Needs the extra `boosting`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from model.predictors.trees import TreeBased
from model.settings import GradientBoostingSettings

FLOOR = 1e-4  # share of the probability divided by how common marks are: boosting is too sure
FEWEST = 50  # events of a mark in the train part; boosting diverges on rarer ones, so these are one class


class GradientBoosting(TreeBased):
    """Up to `rounds` rounds; the validation part ends them early. One thread."""

    seeded = True
    settings_type = GradientBoostingSettings

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        chosen = GradientBoostingSettings(**settings)
        self.rounds, self.learning_rate, self.leaves = chosen.rounds, chosen.learning_rate, chosen.leaves
        self.seed = seed

    def learn(
        self, train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray] | None
    ) -> list[dict[str, float]]:
        """Boost. Rare marks divide the probability of their class by how common they are."""
        library = _lightgbm()
        count = np.bincount(train[1], minlength=self.marks)
        self.common = (count + 0.5) / (len(train[1]) + 0.5 * self.marks)
        self.class_of = np.where(count >= FEWEST, np.cumsum(count >= FEWEST), 0)  # 0: all the rare ones
        train = (train[0], self.class_of[train[1]])
        valid = (valid[0], self.class_of[valid[1]]) if valid else None
        data = library.Dataset(*train, params={"verbose": -1})
        options: dict[str, Any] = {}
        history: dict[str, dict[str, list[float]]] = {}
        if valid:
            options["valid_sets"] = [data.create_valid(*valid)]
            stop = library.early_stopping(10, verbose=False)
            options["callbacks"] = [stop, library.record_evaluation(history)]
        self.booster = library.train(self._parameters(), data, self.rounds, **options)
        nats = history.get("valid_0", {}).get("multi_logloss", [])
        return [{"round": step + 1.0, "valid_bits": value / np.log(2)} for step, value in enumerate(nats)]

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, marks) of the trees for features (n, f), with a floor."""
        of_class = np.asarray(self.booster.predict(rows, num_threads=1))[:, self.class_of]
        share = self.common / np.bincount(self.class_of, weights=self.common)[self.class_of]
        return (1 - FLOOR) * of_class * share + FLOOR * self.common

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the trees as bytes of LightGBM's own text form, and the histograms."""
        text = self.booster.model_to_string(num_iteration=self.booster.best_iteration).encode()
        boosted = {"trees": np.frombuffer(text, np.uint8), "common": self.common, "class_of": self.class_of}
        return {**super().arrays(), **boosted}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned."""
        super().restore(arrays)
        self.common, self.class_of = np.array(arrays["common"]), np.array(arrays["class_of"])
        self.booster = _lightgbm().Booster(model_str=arrays["trees"].tobytes().decode())

    def _parameters(self) -> dict[str, Any]:
        return {
            "objective": "multiclass",
            "num_class": int(self.class_of.max()) + 1,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": 20,
            "min_sum_hessian_in_leaf": 1.0,
            "num_threads": 1,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


def _lightgbm() -> Any:
    import lightgbm

    return lightgbm

"""Gradient boosted trees (LightGBM: Ke et al., NIPS 2017) on marks, slices and recency. Needs the extra `boosting`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from model.predictors.trees import Trees
from model.ranges import at_least, positive

FLOOR = 1e-4  # share of the probability that goes to marks as they are common: boosting is sure of too much
FEWEST = 50  # events of a mark in the train part; boosting goes astray on rarer ones, so they are one class together


class GradientBoosting(Trees):
    """Up to `rounds` rounds, ended by the validation part; one thread."""

    seeded = True

    def __init__(self, rounds: int = 150, learning_rate: float = 0.1, leaves: int = 31, seed: int = 0) -> None:
        at_least(1, rounds=rounds)
        at_least(2, leaves=leaves)
        at_least(0, seed=seed)
        positive(learning_rate=learning_rate)
        self.rounds, self.learning_rate, self.leaves, self.seed = rounds, learning_rate, leaves, seed

    def settings(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in ("rounds", "learning_rate", "leaves", "seed")}

    def learn(
        self, train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray] | None
    ) -> list[dict[str, float]]:
        """Boost; rare marks share what their common class gets, as common as they are."""
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
        """What the trees say, with a floor."""
        told = np.asarray(self.booster.predict(rows, num_threads=1))[:, self.class_of]
        share = self.common / np.bincount(self.class_of, weights=self.common)[self.class_of]
        return (1 - FLOOR) * told * share + FLOOR * self.common

    def arrays(self) -> dict[str, np.ndarray]:
        """The trees in LightGBM's own text form, as bytes, and the histograms."""
        text = self.booster.model_to_string(num_iteration=self.booster.best_iteration).encode()
        mine = {"trees": np.frombuffer(text, np.uint8), "common": self.common, "class_of": self.class_of}
        return {**super().arrays(), **mine}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
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

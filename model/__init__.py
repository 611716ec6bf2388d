"""Predicts what the scheduler does next from the tables of a recording. Imports nothing of harness.

`evaluate` fits and scores a predictor, by name or of one's own; `train` stores it, `load` opens it again. Recordings
are folders of tables, trials and runs, by path or as `harness` opens them. Every error is a `PredictionError`, which
says what is wrong, what was expected, and what to do. `docs/api.md` shows it all.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model import density, errors, predictors
    from model.data.lags import lagged
    from model.data.streams import STATES, Segment, Stream
    from model.errors import PredictionError
    from model.evaluation import Evaluation, evaluate
    from model.predictor import OnProgress, Prediction, Predictor, TrainablePredictor
    from model.stored import StoredModel, load, train

__all__ = [
    "STATES",
    "Evaluation",
    "OnProgress",
    "Prediction",
    "PredictionError",
    "Predictor",
    "Segment",
    "StoredModel",
    "Stream",
    "TrainablePredictor",
    "density",
    "errors",
    "evaluate",
    "lagged",
    "load",
    "predictors",
    "train",
]

_PLACES = {
    "STATES": "data.streams",
    "Evaluation": "evaluation",
    "OnProgress": "predictor",
    "Prediction": "predictor",
    "PredictionError": "errors",
    "Predictor": "predictor",
    "Segment": "data.streams",
    "StoredModel": "stored",
    "Stream": "data.streams",
    "TrainablePredictor": "predictor",
    "evaluate": "evaluation",
    "lagged": "data.lags",
    "load": "stored",
    "train": "stored",
}
_MODULES = ("density", "errors", "predictors")


if not TYPE_CHECKING:  # a type checker would take any name for one that there is

    def __getattr__(name: str) -> Any:
        """Import on first use: numpy, pyarrow and scipy take half a second."""
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"model.{name}")
        if name not in _PLACES:
            raise AttributeError(f"module 'model' has no attribute {name!r}")
        return getattr(import_module(f"model.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""The predictors by name. A class is imported when it is used, so that a list of the names needs no torch."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from model.errors import MissingLibraryError, SettingError
from model.settings import check, check_seed

if TYPE_CHECKING:
    from model.predictor import Predictor

KINDS = {
    "most_frequent": "model.predictors.markov:MostFrequent",
    "repeat": "model.predictors.repeat:Repeat",
    "markov": "model.predictors.markov:Markov",
    "ctw": "model.predictors.ctw:Ctw",
    "slice_markov": "model.predictors.slice_markov:SliceMarkov",
    "decision_tree": "model.predictors.decision_tree:DecisionTree",
    "gradient_boosting": "model.predictors.gradient_boosting:GradientBoosting",
    "lstm": "model.predictors.recurrent:Lstm",
    "gru": "model.predictors.recurrent:Gru",
    "mingru": "model.predictors.recurrent:MinGru",
    "transformer": "model.predictors.recurrent:Transformer",
    "rmtpp": "model.predictors.point_process:Rmtpp",
    "nhp": "model.predictors.point_process:Nhp",
    "fifo": "model.predictors.scheduling_policy:Fifo",
    "cfs_replay": "model.predictors.scheduling_policy:CfsReplay",
    "eevdf_replay": "model.predictors.scheduling_policy:EevdfReplay",
    "replay_residual": "model.predictors.replay_residual:ReplayResidual",
    "paper_as_coded": "model.predictors.kernel_oracle:PaperAsCoded",
    "paper_as_written": "model.predictors.kernel_oracle:PaperAsWritten",
    "paper_corrected": "model.predictors.kernel_oracle:PaperCorrected",
}

# What each may look at (`inputs` of its class, as it is by default).
INPUTS_OF = {
    **dict.fromkeys(KINDS, "slices"),
    **dict.fromkeys(("most_frequent", "repeat", "markov", "ctw"), "marks"),
    **dict.fromkeys(("fifo", "cfs_replay", "eevdf_replay", "replay_residual"), "runqueue"),
}

# Reproductions of earlier work; they take minutes, and are trained only where they are named.
REPRODUCTIONS = ("paper_as_coded", "paper_as_written", "paper_corrected")

# Those that are networks, which can be drawn (`model.predictor.Neural`).
NETWORKS = ("lstm", "gru", "mingru", "transformer", "rmtpp", "nhp", *REPRODUCTIONS)

# Libraries that some predictors need: the module, the extra that brings it, and the package that it is in.
EXTRAS = {
    "gradient_boosting": ("lightgbm", "boosting", "lightgbm"),
    **dict.fromkeys(("decision_tree", "replay_residual"), ("sklearn", "model", "scikit-learn")),
    **dict.fromkeys(NETWORKS, ("torch", "model", "torch")),
}


def installed(kind: str) -> bool:
    """Return whether the library that a predictor needs is installed; True for one that needs none."""
    return kind not in EXTRAS or importlib.util.find_spec(EXTRAS[kind][0]) is not None


def require_known(kind: str) -> None:
    """Raise SettingError, with the nearest known name, for an unknown predictor."""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(KINDS)}"
        raise SettingError(f"unknown predictor {kind!r}: {hint}")


def require_installed(kind: str) -> None:
    """Raise MissingLibraryError if a predictor needs a library that is not installed."""
    if not installed(kind):
        raise MissingLibraryError(kind, *EXTRAS[kind][1:])


def describe(kind: str) -> str:
    """Return the first line of the documentation of a predictor; its module, which may need torch, is only read."""
    module, _, name = KINDS[kind].partition(":")
    source = pkgutil.get_data(__name__, f"{module.rpartition('.')[2]}.py") or b""
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    return (ast.get_docstring(classes[name]) or "").partition("\n")[0]


def find(kind: str) -> type[Any]:
    """Return the class of a predictor. SettingError, with the nearest known name, for an unknown one."""
    require_known(kind)
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def create(kind: str, settings: Mapping[str, Any]) -> Predictor:
    """Make a predictor, not yet fitted.

    SettingError for an unknown one or a wrong setting, MissingLibraryError for a library that is not installed.
    """
    require_known(kind)
    require_installed(kind)
    cls = find(kind)
    check(kind, {name: value for name, value in settings.items() if name != "seed" or not cls.seeded})
    if "seed" in settings:
        check_seed(settings["seed"])
    return cls(**settings)

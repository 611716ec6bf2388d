"""The predictors by name. A class is imported when it is asked for, so that naming them costs no torch."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import typing
from collections.abc import Mapping
from typing import Any

from model.errors import SettingError
from model.predictor import Predictor

KINDS = {
    "most_frequent": "model.predictors.most_frequent:MostFrequent",
    "repeat": "model.predictors.repeat:Repeat",
    "markov": "model.predictors.markov:Markov",
    "ctw": "model.predictors.ctw:Ctw",
    "slice_markov": "model.predictors.slice_markov:SliceMarkov",
    "decision_tree": "model.predictors.decision_tree:DecisionTree",
    "gradient_boosting": "model.predictors.gradient_boosting:GradientBoosting",
    "lstm": "model.predictors.lstm:Lstm",
    "gru": "model.predictors.gru:Gru",
    "mingru": "model.predictors.mingru:MinGru",
    "transformer": "model.predictors.transformer:Transformer",
    "rmtpp": "model.predictors.rmtpp:Rmtpp",
    "nhp": "model.predictors.nhp:Nhp",
    "fifo": "model.predictors.fifo:Fifo",
    "cfs_replay": "model.predictors.cfs_replay:CfsReplay",
    "eevdf_replay": "model.predictors.eevdf_replay:EevdfReplay",
    "replay_residual": "model.predictors.replay_residual:ReplayResidual",
    "paper_as_coded": "model.predictors.kernel_oracle:PaperAsCoded",
    "paper_as_written": "model.predictors.kernel_oracle:PaperAsWritten",
    "paper_corrected": "model.predictors.kernel_oracle:PaperCorrected",
}

# Kept to show what was done before; they take minutes and are trained only where they are named.
REPRODUCTIONS = ("paper_as_coded", "paper_as_written", "paper_corrected")

# What a predictor needs beyond the core, by name: the library and the extra that brings it.
EXTRAS = {"gradient_boosting": ("lightgbm", "boosting")}


def installed(kind: str) -> bool:
    """Whether the library behind a predictor's extra is here; True where it needs none."""
    return kind not in EXTRAS or importlib.util.find_spec(EXTRAS[kind][0]) is not None


def find(kind: str) -> type[Any]:
    """The class behind a name; a SettingError names the nearest known one."""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(KINDS)}"
        raise SettingError(f"unknown predictor {kind!r}: {hint}")
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def create(kind: str, settings: Mapping[str, Any]) -> Predictor:
    """A predictor that has learned nothing yet. SettingError if it has no such setting."""
    cls = find(kind)
    if not installed(kind):
        raise SettingError(
            f"predictor {kind!r} needs {EXTRAS[kind][0]}: install the extra `harness[{EXTRAS[kind][1]}]`"
        )
    known = list(inspect.signature(cls).parameters)
    for name in settings:
        if name not in known:
            raise SettingError(f"predictor {kind!r} has no setting {name!r}: it has {', '.join(known)}")
    hints = typing.get_type_hints(cls.__init__)
    for name, value in settings.items():
        allowed = typing.get_args(hints[name]) or (hints[name],)
        if type(value) not in allowed and not (type(value) is int and float in allowed):
            expected = " or ".join("none" if one is type(None) else one.__name__ for one in allowed)
            raise SettingError(f"predictor {kind!r}: {name} {value!r}: expected {expected}")
    return cls(**settings)

"""A linear recurrence whose gates see the input alone (see `model.nn.cells.LinearGates`)."""

from __future__ import annotations

from model.nn.cells import LinearGates
from model.predictors.recurrent import Recurrent


class MinGru(Recurrent):
    """Stateful; see `Recurrent` for its settings. Two layers do better than one."""

    cell = LinearGates
    layers_by_default = 2

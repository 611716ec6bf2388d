"""A linear recurrence whose gates see the input alone (see `model.cells.LinearGates`)."""

from __future__ import annotations

from model.cells import LinearGates
from model.predictors.recurrent import Recurrent


class MinGru(Recurrent):
    """Stateful; see `Recurrent` for its settings. Two layers do better than one."""

    cell = LinearGates
    layers_by_default = 2

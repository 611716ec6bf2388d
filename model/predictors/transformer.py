"""Causal attention over the last events of a stream (see `model.nn.cells.Attention`)."""

from __future__ import annotations

from model.nn.cells import HEADS, Attention
from model.predictors.recurrent import Recurrent


class Transformer(Recurrent):
    """Its memory is what it can still see; see `Recurrent` for its settings. `hidden` is a multiple of the 4 heads."""

    cell = Attention
    layers_by_default = 2
    rate_by_default = 2e-3
    heads = HEADS

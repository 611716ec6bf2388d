"""Gated recurrent unit (Cho et al., EMNLP 2014) over marks and slices."""

from __future__ import annotations

import torch

from model.predictors.recurrent import Recurrent


class Gru(Recurrent):
    """A stateful GRU; see `Recurrent` for its settings."""

    cell = torch.nn.GRU

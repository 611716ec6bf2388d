"""Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9(8), 1997) over marks and slices."""

from __future__ import annotations

import torch

from model.predictors.recurrent import Recurrent


class Lstm(Recurrent):
    """A stateful LSTM; see `Recurrent` for its settings."""

    cell = torch.nn.LSTM
    hidden_by_default = 40
    rate_by_default = 2.5e-2
    most_lanes = 64

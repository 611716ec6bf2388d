"""The recurrent marked temporal point process (see `model.nn.point_processes.ExponentialIntensity`)."""

from __future__ import annotations

from model.nn.point_processes import ExponentialIntensity
from model.predictors.point_process import PointProcess


class Rmtpp(PointProcess):
    """Its density of a slice is Gompertz's, exact in closed form; see `PointProcess` for its settings."""

    kind = ExponentialIntensity

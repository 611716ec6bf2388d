"""The neural Hawkes process (see `model.nn.point_processes.ContinuousLstm`)."""

from __future__ import annotations

from model.nn.point_processes import ContinuousLstm
from model.predictors.point_process import PointProcess


class Nhp(PointProcess):
    """Scored with its intensity taken at 161 times and linear in between; see `PointProcess` for its settings."""

    kind = ContinuousLstm

"""Sends parameters, results, scores and files of runs to a tracker, such as MLflow, and never harms a run.

A run is sent as a whole, as its folder has it now; what a tracker has already is not sent again. So there is one
operation, whether a run begins, has another trial, has ended, is resumed, or ended long ago.
"""

from __future__ import annotations

from harness.tracking.target import KINDS, Target, parse, stored
from harness.tracking.tracking import Tracking

__all__ = ["KINDS", "Target", "Tracking", "parse", "stored"]

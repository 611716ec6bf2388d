"""Which of two is it, and how sure may one be: arms compared block by block; and a run against its repetition."""

from __future__ import annotations

from harness.comparison.comparison import Comparison, compare, compare_all
from harness.comparison.measured.metrics import Metric
from harness.comparison.measured.observation import Observation, observe
from harness.comparison.sides import Side
from harness.comparison.statistics.design import Design
from harness.comparison.statistics.effect import BlockEffect, Effect, Interval

__all__ = [
    "BlockEffect",
    "Comparison",
    "Design",
    "Effect",
    "Interval",
    "Metric",
    "Observation",
    "Side",
    "compare",
    "compare_all",
    "observe",
]

"""Whether two runs found the same: each metric against the spread of their trials, and the facts that differ."""

from __future__ import annotations

from harness.comparison.comparison import Comparison, MetricComparison, compare

__all__ = ["Comparison", "MetricComparison", "compare"]

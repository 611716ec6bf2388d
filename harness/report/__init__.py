"""Turns a run folder into one self-contained HTML page."""

from __future__ import annotations

from harness.report.build import build

__all__ = ["build"]

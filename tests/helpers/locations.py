"""Folders that tests read from."""

from __future__ import annotations

from pathlib import Path

HELPERS = Path(__file__).parent
ROOT = HELPERS.parents[1]
DATA = ROOT / "tests" / "data"
EXPERIMENTS = ROOT / "experiments"

"""Comparisons for tests of their page: small campaigns with real tables of slices, and effects of chosen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import campaign_run
import numpy as np
import synthetic_run
from pyarrow import parquet

from harness.comparison import BlockEffect, Comparison, Effect, Interval, compare
from harness.comparison.measured.metrics import metric

ARMS = ("nginx_ab__concurrency-2", "nginx_ab__concurrency-8")
AGAIN = f"{ARMS[0]}__again"


def make(
    path: Path,
    blocks: int = 8,
    *,
    ratio: float = 1.05,
    null: bool = False,
    slices: bool = True,
    lost: Sequence[int] = (),
    names: dict[str, str] | None = None,
    predictors: Sequence[str] = ("markov",),
    arms: tuple[str, str] = ARMS,
    **options: Any,
) -> Comparison:
    """Compare two arms of a campaign of nginx and ab; `names` renames comms, `lost` blocks have no second trial."""
    draw = np.random.default_rng(7)
    rates = 400 + draw.normal(0, 4, blocks) + np.arange(blocks)
    values: dict[str, list[float | None]] = {
        arms[0]: list(rates),
        arms[1]: [None if block in lost else rate * ratio * draw.normal(1, 0.005) for block, rate in enumerate(rates)],
    }
    if null:
        values[f"{arms[0]}__again"] = [rate * draw.normal(1, 0.005) for rate in rates]
    scores = {
        arm: {name: list(0.8 + 0.01 * (arm == arms[1]) + draw.normal(0, 0.002, blocks)) for name in predictors}
        for arm in values
    }
    run = campaign_run.make(path, values, scores, slices=slices, **options)
    for number, folder in enumerate(sorted((path / "trials").iterdir()) if slices else ()):
        parquet.write_table(synthetic_run.slices(2_000, number, names), folder / "slices.parquet")
    return compare([run])


def effect(name: str, value: float, width: float = 0.02, blocks: int = 8, **changes: Any) -> Effect:
    """One effect whose blocks lie evenly around `value` and whose interval is `width` wide."""
    measured = tuple(
        BlockEffect("host", "run", f"boot-{block}", block, f"2026-11-30T10:{block:02d}:00.000Z", False,
                    100.0, 100.0 * (1 + value), value + width * (block / max(blocks - 1, 1) - 0.5))
        for block in range(blocks)
    )  # fmt: skip
    known = Effect(
        metric(name), 100.0, 100.0 * (1 + value), value, Interval(value - width / 2, value + width / 2),
        (value - width / 2, value + width / 2), 0.01, 0.04, width, 0.5, abs(value) + width / 2, blocks, measured,
        "higher" if value > 0 else "lower",
    )  # fmt: skip
    return replace(known, **changes)

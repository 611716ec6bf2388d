"""Two predictors on the same events: how much better is one, and could it be chance?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from model.bootstrap import blocks_of, redraws
from model.errors import StreamError, TableError
from model.jobs import OUTCOMES

PARTS = ("overall", "contested", "open")


@dataclass(frozen=True)
class Saving:
    """Bits per switch of both, the share that the better one saves, and the 95 % interval of that share."""

    events: int
    bits: float
    baseline_bits: float
    share: float
    share_ci: tuple[float, float]


def saving(folder: Path, baseline: Path, part: str = "overall") -> Saving:
    """How much less the predictor of `folder` needs than that of `baseline`, over the same blocks of test events.

    Both are redrawn together (a paired block bootstrap), so what is common to both cancels. StreamError if they were
    not scored on the same events.
    """
    if part not in PARTS:
        raise StreamError(f"part {part!r}: expected one of {', '.join(PARTS)}")
    mine, other = _outcomes(folder), _outcomes(baseline)
    if len(mine["mark"]) != len(other["mark"]) or not np.array_equal(mine["contested"], other["contested"]):
        raise StreamError(f"{folder} and {baseline} were scored on other events: score both on the same recordings")
    chosen = np.ones(len(mine["mark"])) if part == "overall" else mine[part].astype(float)
    left, right = mine["bits"] * chosen, other["bits"] * chosen
    begin = blocks_of(len(chosen))
    draws = redraws(len(begin))
    ours, theirs = (np.add.reduceat(bits, begin)[draws].sum(axis=1) for bits in (left, right))
    low, high = np.quantile(1 - ours / theirs, [0.025, 0.975])
    count = int(chosen.sum())
    share = float(1 - left.sum() / right.sum())
    return Saving(count, left.sum() / count, right.sum() / count, share, (float(low), float(high)))


def _outcomes(folder: Path) -> dict[str, np.ndarray]:
    path = Path(folder) / OUTCOMES
    if not path.is_file():
        raise TableError(f"{path}: no such table: expected the folder of a scored predictor")
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}

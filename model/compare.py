"""Two predictors on the same events: how much better is one, and could it be chance?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from model.bootstrap import Blocks, ends
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
    redrawn = Blocks.of(mine["stream"]).redrawn(np.stack([left, right], axis=1))
    count = int(chosen.sum())
    share = float(1 - left.sum() / right.sum())
    return Saving(count, left.sum() / count, right.sum() / count, share, ends(1 - redrawn[:, 0] / redrawn[:, 1]))


def _outcomes(folder: Path) -> dict[str, np.ndarray]:
    path = Path(folder) / OUTCOMES
    if not path.is_file():
        raise TableError(f"{path}: no such table: expected the folder of a scored predictor")
    table = pq.read_table(path)
    if "stream" not in table.column_names:
        raise TableError(
            f"{path}: written by an older scorer: train again, so that it says which events are neighbours"
        )
    return {name: table[name].to_numpy() for name in table.column_names}

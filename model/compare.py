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


class NothingToCompare(StreamError):
    """No switch of the asked part, or none that the baseline needs any bits for."""


@dataclass(frozen=True)
class Saving:
    """Bits per switch of both, the share that the better one saves, and the 95 % interval of that share: None where
    the events lie in fewer than `bootstrap.FEWEST_HOLDING` blocks."""

    events: int
    bits: float
    baseline_bits: float
    share: float
    share_ci: tuple[float, float] | None


def saving(folder: Path, baseline: Path, part: str = "overall") -> Saving:
    """How much less the predictor of `folder` needs than that of `baseline`, over the same blocks of test events.

    Both are redrawn together (a paired block bootstrap), so what is common to both cancels. StreamError if they were
    not scored on the same events; NothingToCompare if there is none of the asked part.
    """
    if part not in PARTS:
        raise StreamError(f"part {part!r}: expected one of {', '.join(PARTS)}")
    mine, other = _outcomes(folder), _outcomes(baseline)
    if len(mine["mark"]) != len(other["mark"]) or not np.array_equal(mine["contested"], other["contested"]):
        raise StreamError(f"{folder} and {baseline} were scored on other events: score both on the same recordings")
    chosen = np.ones(len(mine["mark"])) if part == "overall" else mine[part].astype(float)
    left, right = mine["bits"] * chosen, other["bits"] * chosen
    count = int(chosen.sum())
    if not count:
        raise NothingToCompare(f"no {part} switches among the {len(chosen)} of {folder}: compare another part")
    if not right.sum():
        raise NothingToCompare(f"{baseline} needs no bits for the {part} switches: there is nothing to save")
    share = float(1 - left.sum() / right.sum())
    return Saving(count, left.sum() / count, right.sum() / count, share, _interval(left, right, mine["stream"]))


def _interval(left: np.ndarray, right: np.ndarray, stream: np.ndarray) -> tuple[float, float] | None:
    """Of the saved share, from bits (n,) of both, zero for events that are not of the part."""
    blocks = Blocks.of(stream).holding(right)
    if blocks is None:
        return None
    redrawn = blocks.redrawn(np.stack([left, right], axis=1))
    return ends(1 - redrawn[:, 0] / redrawn[:, 1])


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

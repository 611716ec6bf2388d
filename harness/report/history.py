"""Reads the course of a training from history.parquet."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from harness.visible import visible

CURVE_POINTS = 400
_STEPS = ("epoch", "update", "step", "order")
_MEASURES = ("loss", "nll", "nats", "bits")


@dataclass(frozen=True)
class Curve:
    """One line of a training history: (x, y) points of one column."""

    label: str
    points: tuple[tuple[float, float], ...]


def read_curves(path: Path) -> tuple[str, tuple[Curve, ...]]:
    """Read the losses in a training history against its epoch, update, step or order column, else the row number.

    Those in nats are returned in bits, as all scores are.
    """
    if not path.is_file():
        return "", ()
    import numpy as np  # here, because a command that lists runs needs neither
    import pyarrow as pa
    import pyarrow.parquet as parquet

    with pa.OSFile(os.fsencode(path)) as source:  # its name may be no UTF-8
        frame = parquet.read_table(source, page_checksum_verification=True).to_pandas().select_dtypes("number")
    x_label = next((name for name in _STEPS if name in frame), "row")
    x = frame[x_label].to_numpy(dtype=float) if x_label in frame else np.arange(1.0, len(frame) + 1)
    keep = np.unique(np.linspace(0, len(frame) - 1, min(CURVE_POINTS, len(frame))).astype(int))
    wanted = [name for name in frame if any(word in str(name) for word in _MEASURES)]
    curves = []
    for name in wanted:
        y = frame[name].to_numpy(dtype=float) / (math.log(2) if "nats" in name else 1)
        points = tuple((float(x[i]), float(y[i])) for i in keep if np.isfinite(x[i]) and np.isfinite(y[i]))
        curves += [Curve(visible(name).replace("nats", "bits").replace("_", " "), points)] if len(points) > 1 else []
    return x_label, tuple(curves)

"""How exactly one recording shows the mean of a metric: its standard error across ten blocks of time."""

from __future__ import annotations

import numpy as np

BLOCKS = 10


def standard_errors(times_ns: np.ndarray, contested: np.ndarray) -> dict[str, float]:
    """Return the standard errors of switches/s and of the contested share; empty if a tenth of the time has no switch.

    `times_ns` are the times of the switches, `contested`: whether each was. The blocks are taken for
    independent (Law & Kelton, Simulation Modeling and Analysis, batch means); a drift within the recording adds to the
    error, as it should.
    """
    if len(times_ns) == 0:
        return {}
    edges = np.linspace(times_ns.min(), times_ns.max(), BLOCKS + 1)
    counts, _ = np.histogram(times_ns, edges)
    if counts.min() == 0:
        return {}
    contested_counts, _ = np.histogram(times_ns[contested], edges)
    rates = counts / ((edges[1] - edges[0]) / 1e9)
    return {"switches_per_s": _standard_error(rates), "contested_share": _standard_error(contested_counts / counts)}


def _standard_error(blocks: np.ndarray) -> float:
    return float(blocks.std(ddof=1) / np.sqrt(len(blocks)))

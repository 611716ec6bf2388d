"""The units that metrics are shown in, the difference that is too small to matter, and the digit that ends a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

MARGIN = 0.01  # 1 %, a point of a share, or a hundredth of a bit
DIGITS = 7
UnitName = Literal["rate", "us", "ms", "share", "bits"]


@dataclass(frozen=True)
class Unit:
    """How the values of a metric are shown, and the difference that is too small to matter.

    The margin is one percent of the value, and at least `least`, in the metric's own unit. A share shows its
    differences in points: 1 % of an idle share of 0.01 % is nothing that anyone could use.
    """

    name: str
    factor: float
    form: str
    least: float = 0.0

    def margin(self, value: float) -> float:
        """Return the largest difference from `value` that counts as equal within 1 %."""
        return max(MARGIN * abs(value), self.least)


UNITS: dict[str, Unit] = {
    "rate": Unit("/s", 1.0, ".1f"),
    "us": Unit("us", 1e-3, ".1f"),
    "ms": Unit("ms", 1.0, ".3f"),
    "share": Unit("%", 100.0, ".2f", least=0.001),
    "bits": Unit("bits", 1.0, ".3f", least=0.01),
}


def step_of(values: np.ndarray) -> float:
    """Return the unit of the last digit of rounded values, 1 or less; 0 where they are not rounded."""
    return float(next((10.0**-n for n in range(DIGITS) if np.allclose(values, values.round(n), rtol=0, atol=1e-9)), 0))

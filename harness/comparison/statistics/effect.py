"""One metric of two sides: the effect in each block, over all blocks, and how sure one may be of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.comparison.measured.metrics import Metric
from harness.comparison.statistics.inference import CHANCE

Outcome = Literal["higher", "lower", "no different", "cannot say", "too few"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval, on the scale of the value that it belongs to."""

    low: float
    high: float
    level: float = 0.95

    @property
    def width(self) -> float:
        """Return the distance of its ends."""
        return self.high - self.low

    def holds(self, value: float) -> bool:
        """Return whether a value lies in it."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class BlockEffect:
    """One metric in one block: the values of both sides, and their effect on the scale of `Effect.value`.

    `boot` names the boots of both trials, with a comma where they are two. `late`: one of its trials was recorded after
    a later block had begun.
    """

    host: str
    run: str
    boot: str
    block: int
    recorded_at: str
    late: bool
    first: float
    second: float
    value: float


@dataclass(frozen=True)
class Effect:
    """One metric over all blocks.

    `first`, `second`: typical values of the sides, the geometric mean of a ratio and else the mean, in the metric's own
    unit. `value`: of a ratio second / first - 1 (0.031 is 3.1 % more), of a share or of bits second - first.
    `interval`, `p` and what follows are None with fewer than 6 units; `too few` has them where many metrics need more.
    `range`: the smallest and the largest block.
    `p`: of sign flips; `p_adjusted`: after Holm, over the metrics of the comparison. `detectable`: the smallest
    difference that these units show in 80 of 100 cases, tested at 5 %. `equivalence_p`: of two one-sided tests against
    `metric.margin`; `within`: the smallest margin that they would hold at 5 %. `units`: how many independent units
    (`Design.unit`) it rests on.
    """

    metric: Metric
    first: float
    second: float
    value: float
    interval: Interval | None
    range: tuple[float, float]
    p: float | None
    p_adjusted: float | None
    detectable: float | None
    equivalence_p: float | None
    within: float | None
    units: int
    blocks: tuple[BlockEffect, ...]
    outcome: Outcome

    @property
    def differs(self) -> bool:
        """Return whether the sides differ: whatever is said of the metric, it is not the same."""
        return self.outcome in ("higher", "lower")

    @property
    def is_small(self) -> bool:
        """Return whether the sides differ, by less than the margin: sure, and too little to matter."""
        return self.differs and self.equivalence_p is not None and self.equivalence_p < CHANCE

"""Whether the vruntime of a group errs in proportion to what it runs, so that its weight is not what was assumed.

A group's vruntime is not traced. Corrections that keep pointing one way while the group runs show its true weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.replay.entities import NICE_0_LOAD

UNKNOWN_NS = 1e9  # doubt about a vruntime of which nothing is known
JUMP_NS = 20e6  # a larger correction at once is of a position, not of a weight
MIN_VIRTUAL_NS = 50e6  # run time, in the group's virtual time, after which its weight is judged
MIN_CORRECTIONS = 8
MIN_SHARE, MIN_NS = 0.05, 15e6  # corrections have to be that share of the virtual time, and so much more
ONE_WAY = 0.8  # share of all corrections that has to remain when they are added up
MIN_WEIGHT = 2  # MIN_SHARES
NEAR = 0.3  # a weight so near a power of two, which shares usually are, is at first taken for it


@dataclass
class Drift:
    """What a group ran, and how it was corrected, since its weight was set."""

    ran_ns: float = 0.0
    corrected_ns: float = 0.0
    moved_ns: float = 0.0  # sum of the corrections without their signs
    corrections: int = 0

    def weight_after(self, by_ns: float, weight: int, doubt_ns: float) -> int:
        """Count a correction; return the weight that explains all of them, else the present one."""
        if doubt_ns >= UNKNOWN_NS or abs(by_ns) > JUMP_NS:
            self._restart()
            return weight
        self.corrected_ns += by_ns
        self.moved_ns += abs(by_ns)
        self.corrections += 1
        virtual_ns = self.ran_ns * NICE_0_LOAD / weight
        if not self._is_steady(virtual_ns):
            return weight
        estimate = self.ran_ns * NICE_0_LOAD / (virtual_ns + self.corrected_ns)
        self._restart()
        return _usual(estimate, weight)

    def _restart(self) -> None:
        self.ran_ns = self.corrected_ns = self.moved_ns = 0.0
        self.corrections = 0

    def _is_steady(self, virtual_ns: float) -> bool:
        """Return whether the corrections are many, large and all one way."""
        least = max(MIN_SHARE * virtual_ns + MIN_NS, ONE_WAY * self.moved_ns)
        enough = self.corrections >= MIN_CORRECTIONS and virtual_ns >= MIN_VIRTUAL_NS
        return enough and abs(self.corrected_ns) >= least and virtual_ns + self.corrected_ns > 0


def _usual(estimate: float, weight: int) -> int:
    power = 2 ** round(math.log2(max(estimate, MIN_WEIGHT)))
    snaps = abs(estimate / power - 1) < NEAR and power != weight
    return power if snaps else max(round(estimate), MIN_WEIGHT)

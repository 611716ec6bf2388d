"""What the intervals of scores are about, in words: other trials, or nothing but the recordings that were scored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class IntervalBasis(NamedTuple):
    """The number of trials that an interval is over (1: it is within them), and of those that were scored."""

    trials: int
    scored: int

    @property
    def text(self) -> str:
        """Return the label of one interval."""
        if self.trials > 1:
            return f"over {self.trials} trials"
        return "about this recording only" if self.scored == 1 else "about these recordings only"

    @property
    def explained(self) -> str:
        """Return the label with what the interval tells, and how it was made."""
        if self.trials > 1:
            within = "no narrower than the block bootstrap within them"
            return f"{self.text}: for another such trial (Student's t over trials, {within})"
        several = "" if self.scored == 1 else ", which does not show how trials differ"
        return f"{self.text}: for another part of {'it' if self.scored == 1 else 'them'} (block bootstrap{several})"


def explain(bases: Iterable[IntervalBasis]) -> str:
    """Return the explanation of each basis, once."""
    return "; or ".join(dict.fromkeys(basis.explained for basis in bases))

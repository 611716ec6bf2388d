"""The facts of all trials of a side together: which values a fact has, and in how many trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.comparison.facts.fact_sources import NONE, Fact, family, whole_families

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class SideFacts:
    """The facts of the trials of a side: of each, how many trials have which value, in recording order.

    `settings`: the paths of the experiment that its arms set. `counted`: where a fact varies, how many trials have each
    value is said.
    """

    values: Mapping[Fact, Mapping[str, int]]
    trials: int
    settings: frozenset[str] = frozenset()
    counted: bool = True

    def of(self, fact: Fact) -> Mapping[str, int]:
        """Return the values of a fact; NONE for one that no trial has."""
        return self.values.get(fact) or {NONE: self.trials}

    def text(self, fact: Fact) -> str:
        """Return the value of a fact; of one that varies, all values."""
        values = self.of(fact)
        if len(values) == 1 or not self.counted:
            return ", ".join(values)
        return ", ".join(f"{value} ({number} of {sum(values.values())} trials)" for value, number in values.items())


def collect(rows: Sequence[Mapping[Fact, str]]) -> dict[Fact, dict[str, int]]:
    """Count the values of each fact over trials.

    A trial that lacks a fact has the value NONE, unless it has no fact of that family: then none was recorded.
    """
    families = [whole_families(row) for row in rows]
    counts: dict[Fact, dict[str, int]] = {}
    for fact in dict.fromkeys(fact for row in rows for fact in row):
        kind, values = family(fact), counts.setdefault(fact, {})
        for row, known in zip(rows, families, strict=True):
            if fact in row or kind in known:
                value = row.get(fact, NONE)
                values[value] = values.get(value, 0) + 1
    return counts

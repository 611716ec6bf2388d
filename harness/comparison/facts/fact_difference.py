"""One fact that two sides do not share, and how to find all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.comparison.facts.fact_sources import GROUPS, family, whole_families
from harness.comparison.facts.side_facts import NOT_RECORDED, SideFacts

LISTS = ("guest kernel command line", "guest CPU flags")  # shown without the words that both have
SHORTENED = ("digest", "configuration", "commit")  # the ends of names of facts that are hashes
LONG_WORD = 40  # letters; a longer list in one word may be broken at its commas
HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")
OPTION = "guest CONFIG_"
ONE_SIDE = "facts of one side only"


@dataclass(frozen=True)
class FactDifference:
    """One fact that is not the same on two sides, or not in all trials of a side, as text.

    `group`: one of `GROUPS`. `follows`: the setting of the arm that it follows from, empty if from none. `varies`: it
    differs between the trials of one side.
    """

    name: str
    first: str
    second: str
    group: str = ""
    follows: str = ""
    varies: bool = False

    @property
    def is_option(self) -> bool:
        """Whether it is an option of the guest kernel's configuration."""
        return self.name.startswith(OPTION)

    @property
    def shown(self) -> tuple[str, str]:
        """Both values for a person: digests in short, and of lists of words those that the other lacks."""
        name = self.name.partition(", ")[0]  # the name of an arm may follow
        if name.endswith(SHORTENED):
            return _short(self.first), _short(self.second)
        if name not in LISTS or self.varies or NOT_RECORDED in (self.first, self.second):
            return self.first, self.second
        left, right = self.first.split(), self.second.split()
        return _without(left, right), _without(right, left)


def differences(first: SideFacts, second: SideFacts, *, varying: bool) -> list[FactDifference]:
    """Return the facts that differ between two sides, in the order of `GROUPS`; if `varying`, also within a side.

    The options of a kernel's configuration come last in their group: two kernels differ in dozens of them, among which
    nobody would see that one of the two schedules by groups. Facts that one side did not record at all, as earlier
    versions did not, are one row of each group.
    """
    rows = [*_one_sided(first, second), *_differences(first, second, varying)]
    return sorted(rows, key=lambda row: (GROUPS.index(row.group), row.is_option))


def _differences(first: SideFacts, second: SideFacts, varying: bool) -> Iterator[FactDifference]:
    whole = whole_families(first.values) & whole_families(second.values)
    for fact in dict.fromkeys([*first.values, *second.values]):
        if family(fact) not in whole and not (fact in first.values and fact in second.values):
            continue
        left, right = first.of(fact), second.of(fact)
        varies = max(len(left), len(right)) > 1
        if set(left) != set(right) or (varying and varies):
            yield FactDifference(fact.name, first.text(fact), second.text(fact), fact.group, varies=varies)


def _one_sided(first: SideFacts, second: SideFacts) -> Iterator[FactDifference]:
    """Yield a row for each group with facts that only one side recorded."""
    for side, other in ((first, second), (second, first)):
        if not other.trials:  # nothing was recorded yet, so nothing is known of most facts
            continue
        for group in GROUPS:
            names = _names(group, side, other)
            if names:
                texts = (", ".join(names), NOT_RECORDED)
                yield FactDifference(ONE_SIDE, *(texts if side is first else texts[::-1]), group=group)


def _names(group: str, side: SideFacts, other: SideFacts) -> list[str]:
    alone = {family(fact) for fact in side.values} - {family(fact) for fact in other.values}
    return list(dict.fromkeys(family(fact) for fact in side.values if fact.group == group and family(fact) in alone))


def _without(words: list[str], others: list[str]) -> str:
    left = [word for word in words if word not in others]
    return " ".join(word.replace(",", ", ") if len(word) > LONG_WORD else word for word in left) or "-"


def _short(text: str) -> str:
    return HASH.sub(r"\1", text)

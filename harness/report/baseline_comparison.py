"""The best predictor of each game against the best baseline that sees no more than it does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from harness.report.groups import Group, chosen_on_validation, sees_less, standing
from harness.report.paired import Paired, paired
from harness.report.scores import Cell


@dataclass(frozen=True)
class Contest:
    """The best predictor of one mark, arm and inputs against the best baseline that sees no more than it does."""

    mark: str
    arm: str
    inputs: str
    best: Group
    baseline: Group | None
    split: str  # contested, or overall where no switch was contested
    chance: float | None
    challenged: bool  # whether anything but baselines was scored
    fair: bool  # chosen on the validation part, not by the score that is shown

    @cached_property
    def paired(self) -> Paired | None:
        """Both on the same events; None where there are no two to compare."""
        return None if self.best.baseline or self.baseline is None else paired(self.best, self.baseline, self.split)

    @property
    def outcome(self) -> str:
        """`baseline` when the best is one itself, `untried` when nothing but baselines was scored, `alone` with none to
        compare to, else `better`, `worse` or `unclear`.

        By the interval of the difference on the same events, or, where these were not kept, by whether the two scores'
        own intervals overlap.
        """
        if self.best.baseline:
            return "baseline" if self.challenged else "untried"
        ours, theirs = self.cell(self.best), self.baseline and self.cell(self.baseline)
        if not ours or not theirs:
            return "alone"
        if self.paired and self.paired.top1:
            return self.paired.top1.outcome
        if ours.low is None or theirs.high is None:  # too few events for an interval, and so for a claim
            return "unclear"
        return "better" if ours.low > theirs.high else "unclear"

    @property
    def baseline_sees_less(self) -> bool:
        """Whether the two are not in the same game: part of the difference is what the best may see."""
        return self.baseline is not None and self.baseline.inputs != self.inputs

    def cell(self, group: Group) -> Cell | None:
        """The top-1 score this contest is about."""
        return group.cell(self.split, "top1")


def contests(groups: list[Group]) -> list[Contest]:
    """One contest for each mark, arm and inputs that was scored, in the order of `groups`."""
    keys = dict.fromkeys((group.mark, group.arm, group.inputs) for group in groups)
    rank, fair = standing(groups), chosen_on_validation(groups)
    found = []
    for mark, arm, inputs in keys:
        rivals = [group for group in groups if (group.mark, group.arm, group.inputs) == (mark, arm, inputs)]
        best = max(rivals, key=rank)
        chance = best.mean(lambda seed: seed.chance) if best.hard == "contested" else None
        challenged = not all(rival.baseline for rival in rivals)
        found.append(Contest(mark, arm, inputs, best, _baseline(groups, best), best.hard, chance, challenged, fair))
    return found


def _baseline(groups: list[Group], best: Group) -> Group | None:
    """The best baseline of the same mark, arm and inputs; where there is none, of one that sees less."""
    same = [g for g in groups if g.baseline and (g.mark, g.arm) == (best.mark, best.arm) and g is not best]
    less = [g for g in same if sees_less(g.inputs, best.inputs)]
    return max([g for g in same if g.inputs == best.inputs] or less, key=standing(groups), default=None)


def lead(found: list[Contest]) -> Contest | None:
    """The contest the page opens with: the best of the bests; on a draw the one that sees less, which comes first.

    One about contested switches goes before one about all, whose score is of an easier question.
    """
    rank = standing([contest.best for contest in found])
    return max(found, key=lambda contest: (contest.split == "contested", rank(contest.best)), default=None)


def leads_by_arm(found: list[Contest]) -> list[Contest]:
    """What the page would open with if there were but one arm, for each of them."""
    arms = dict.fromkeys(contest.arm for contest in found)
    leads = [lead([contest for contest in found if contest.arm == arm]) for arm in arms]
    return [one for one in leads if one is not None]

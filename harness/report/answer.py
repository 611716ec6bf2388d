"""The answer in a sentence or two, computed from the scores, and the banners that say what to beware of."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from harness.report.facts import Run
from harness.report.groups import Group, chosen_on_validation, sees_less, standing
from harness.report.scores import Cell
from harness.report.svg import element
from harness.report.text import count, percent, percent_range


@dataclass(frozen=True)
class Contest:
    """The best predictor of one mark, arm and regime against the best baseline that sees no more than it does."""

    mark: str
    arm: str
    regime: str
    best: Group
    baseline: Group | None
    split: str  # contested, or overall where no switch was contested
    chance: float | None
    challenged: bool  # whether anything but baselines was scored
    fair: bool  # chosen on the validation part, not by the score that is shown

    @property
    def outcome(self) -> str:
        """`baseline` when the best is one itself, `alone` with none to compare to, else `better` or `unclear`.

        `untried` when nothing but baselines was scored.
        """
        if self.best.baseline:
            return "baseline" if self.challenged else "untried"
        ours, theirs = self.cell(self.best), self.baseline and self.cell(self.baseline)
        if not ours or not theirs:
            return "alone"
        if ours.low is None or theirs.high is None:  # too few events for an interval, and so for a claim
            return "unclear"
        return "better" if ours.low > theirs.high else "unclear"

    @property
    def baseline_sees_less(self) -> bool:
        """Whether the two are not in the same game: part of the difference is what the best may see."""
        return self.baseline is not None and self.baseline.regime != self.regime

    def cell(self, group: Group) -> Cell | None:
        """The top-1 score this contest is about."""
        return group.cell(self.split, "top1")


@dataclass(frozen=True)
class Banner:
    """Something a reader must not miss; `kind` is `bad` or `warn`."""

    kind: str
    title: str
    text: str
    items: tuple[str, ...] = ()


def contests(groups: list[Group]) -> list[Contest]:
    """One contest for each mark, arm and regime that was scored, in the order of `groups`."""
    keys = dict.fromkeys((group.mark, group.arm, group.regime) for group in groups)
    rank, fair = standing(groups), chosen_on_validation(groups)
    found = []
    for mark, arm, regime in keys:
        rivals = [group for group in groups if (group.mark, group.arm, group.regime) == (mark, arm, regime)]
        best = max(rivals, key=rank)
        chance = best.mean(lambda seed: seed.chance) if best.hard == "contested" else None
        challenged = not all(rival.baseline for rival in rivals)
        found.append(Contest(mark, arm, regime, best, _baseline(groups, best), best.hard, chance, challenged, fair))
    return found


def _baseline(groups: list[Group], best: Group) -> Group | None:
    """The best baseline of the same mark, arm and regime; where that regime has none, of one that sees less."""
    same = [g for g in groups if g.baseline and (g.mark, g.arm) == (best.mark, best.arm) and g is not best]
    less = [g for g in same if sees_less(g.regime, best.regime)]
    return max([g for g in same if g.regime == best.regime] or less, key=standing(groups), default=None)


def lead(found: list[Contest]) -> Contest | None:
    """The contest the page opens with: the best of the bests; on a draw the regime that sees less, which comes first.

    One about contested switches goes before one about all, whose score is of an easier question.
    """
    rank = standing([contest.best for contest in found])
    return max(found, key=lambda contest: (contest.split == "contested", rank(contest.best)), default=None)


def leads_by_arm(found: list[Contest]) -> list[Contest]:
    """What the page would open with if there were but one arm, for each of them."""
    arms = dict.fromkeys(contest.arm for contest in found)
    leads = [lead([contest for contest in found if contest.arm == arm]) for arm in arms]
    return [one for one in leads if one is not None]


def answer(run: Run, found: list[Contest]) -> Markup:
    """The answer to the question of the experiment in one or two sentences, as safe HTML."""
    first = lead(found)
    if first is None:
        return _no_answer(run)
    cell = first.cell(first.best)
    where = (
        "At contested switches, where two or more tasks wanted the CPU,"
        if first.split == "contested"
        else "At no switch of the test part could more than one task have run; over all of them"
    )
    arm = f", on {first.arm}" if len({contest.arm for contest in found}) > 1 else ""
    others = [one.best.test_score for one in leads_by_arm(found) if one.split == first.split and one is not first]
    if others:
        arm += f": one of {len(others) + 1} arms; on the others the best of each scores {_spread(others)}"
    sentence = Markup(
        "{where} {name}{chosen} names the next {mark} {score} of the time{interval}{trials}{chance}{arm}."
    ).format(
        where=where,
        name=element("strong", first.best.predictor),
        chosen=", the best on the validation part," if first.fair and first.challenged else "",
        mark="task’s name" if first.mark == "comm" else "task",  # noqa: RUF001
        score=element("strong", percent(cell.value if cell else None)),
        arm=arm,
        interval=_interval(cell),
        trials=_by_trial(first),
        chance=f", against {percent(first.chance)} by chance" if first.chance is not None else "",
    )
    return sentence + " " + _against_baseline(first)


def _spread(scores: list[float]) -> str:
    return percent(scores[0]) if len(scores) == 1 else percent_range(min(scores), max(scores))


def _interval(cell: Cell | None) -> str:
    between = percent_range(cell.low, cell.high) if cell else ""
    return f" (95\u202f% interval {between})" if between else ""


def _by_trial(contest: Contest) -> str:
    """How far trials are apart, which the interval does not hold."""
    scores = contest.best.by_trial(contest.split).values()
    if len(scores) < 2:
        return ""
    return f", in its {len(scores)} trials one by one {percent_range(min(scores), max(scores))}"


def _against_baseline(contest: Contest) -> Markup:
    baseline = contest.baseline
    if contest.outcome == "untried":
        return Markup("Nothing but baselines was scored that sees as much.")
    if contest.outcome == "baseline":
        return element("strong", "Nothing beats the baseline:") + " the best predictor is itself a baseline."
    if contest.outcome == "alone" or baseline is None:
        return Markup("No baseline was scored beside it, so this says little about what was learnt.")
    cell = contest.cell(baseline)
    sees = f", which sees less ({baseline.regime}, not {contest.regime})," if contest.baseline_sees_less else ","
    theirs = f"{baseline.predictor}{sees} reaches {percent(cell.value if cell else None)}{_interval(cell)}"
    if contest.outcome == "better":
        return Markup("The best baseline, {}; the intervals do not overlap.").format(theirs)
    ours = contest.cell(contest.best)
    untold = not cell or not ours or cell.high is None or ours.low is None
    return Markup("{} The best one, {}, and {}.").format(
        element("strong", "It does not clearly beat the baseline."),
        theirs,
        "there are too few switches for an interval" if untold else "the intervals overlap",
    )


def _no_answer(run: Run) -> Markup:
    if run.wants_models:
        return Markup("There is no answer yet: no predictor has been scored in this run.")
    usable = [trial.recording for trial in run.trials if trial.recording and trial.ok is True]
    if not usable:
        return Markup("There is no answer yet: nothing has been recorded that may be used.")
    slices = count(sum(recording.switches for recording in usable))
    recordings = f"{len(usable)} recording{'s' if len(usable) > 1 else ''} with {slices} slices"
    return Markup("This experiment only records: {}, and no predictor asked for.").format(recordings)


def banners(run: Run) -> list[Banner]:
    """What stands between the reader and the numbers, worst first."""
    return [*_failed(run), *_incomplete(run), *_fallback(run), *_unread(run)]


def _failed(run: Run) -> list[Banner]:
    failed = [trial for trial in run.trials if trial.ok is False]
    if not failed:
        return []
    items = tuple(
        f"{trial.name}: "
        + (
            "; ".join(
                f"{c.name} {c.value}, limit {c.limit}" + f" ({c.why})" * bool(c.why) for c in trial.checks if not c.ok
            )
            or "failed"
        )
        for trial in failed
    )
    title = f"{len(failed)} of {len(run.trials)} trials failed their verdict"
    return [Banner("bad", title, "What they recorded is shown below, and is not to be relied on.", items)]


def incomplete(run: Run) -> list[str]:
    """Why the run is not complete, a sentence each; none where it is."""
    reasons = []
    if run.state in {"interrupted", "failed"}:
        what = "The campaign failed" if run.state == "failed" else f"The campaign was {run.state}"
        reasons.append(what + (f": {run.error}" if run.error else "."))
    usable = sum(trial.ok is True for trial in run.trials)
    if run.planned is not None and usable < run.planned:
        reasons.append(f"{usable} of {run.planned} planned trials have a recording that passed its verdict.")
    unfinished = [f"{step.name} ({step.state})" for step in run.unfinished]
    if unfinished:
        reasons.append("Steps not done: " + ", ".join(unfinished) + ".")
    if run.wants_models and not run.models:
        reasons.append("Predictors were asked for and none has been scored.")
    return reasons


def _incomplete(run: Run) -> list[Banner]:
    reasons, text = incomplete(run), "The numbers below describe what is there so far."
    return [Banner("bad", "This run is incomplete", text, tuple(reasons))] if reasons else []


def _fallback(run: Run) -> list[Banner]:
    if not run.fallback_reason:
        return []
    used = (run.manifest.get("box") or {}).get("name", "another one")
    title = f"Fallback box: this ran on {used}, not on {run.asked_box}"
    return [
        Banner(
            "warn", title, "Its kernel and scheduler are not the ones the experiment asks for.", (run.fallback_reason,)
        )
    ]


def _unread(run: Run) -> list[Banner]:
    return [Banner("warn", "Some models are missing here", "", tuple(run.problems))] if run.problems else []

"""The answer in a sentence or two, computed from the scores, and the banners that say what to beware of."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from harness.report.baseline_comparison import Contest, lead, leads_by_arm
from harness.report.paired import Paired
from harness.report.run_facts import Run
from harness.report.scores import Cell
from harness.report.svg import element
from harness.report.text import count, percent, percent_range, points_range


@dataclass(frozen=True)
class Banner:
    """Something a reader must not miss; `kind` is `bad` or `warn`."""

    kind: str
    title: str
    text: str
    items: tuple[str, ...] = ()


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
    sees = f", which sees less ({baseline.inputs}, not {contest.inputs})," if contest.baseline_sees_less else ","
    theirs = f"{baseline.predictor}{sees} reaches {percent(cell.value if cell else None)}"
    if contest.paired and contest.paired.top1:
        return _said(contest.outcome, theirs, _paired(contest.paired))
    return _said(contest.outcome, theirs + _interval(cell), _unpaired(contest, cell))


def _said(outcome: str, theirs: str, how: str) -> Markup:
    if outcome == "better":
        return Markup("The best baseline, {}; {}.").format(theirs, how)
    doubt = "It does worse than the baseline." if outcome == "worse" else "It does not clearly beat the baseline."
    return Markup("{} The best one, {}; {}.").format(element("strong", doubt), theirs, how)


def _paired(found: Paired) -> str:
    """On the same events: how much more is hit, how much fewer bits are needed, and with how many of the seeds."""
    top1, name = found.top1, found.best.predictor
    if top1 is None or top1.together.difference_ci is None:
        return "there are too few switches for an interval of the difference"
    apart = top1.together.difference
    told = f"on the same events {name} hits {100 * abs(apart):.1f} points {'more' if apart >= 0 else 'less'}"
    told += f" (95\u202f% interval of the difference {points_range(top1.together.difference_ci)}"
    return told + (", so it may be chance)" if top1.outcome == "unclear" else ")") + _bits(found) + _seeds(found)


def _bits(found: Paired) -> str:
    saved = found.bits.together if found.bits else None
    if found.bits is None or saved is None or saved.saving is None or saved.saving_ci is None:
        return ""
    if found.bits.outcome == "unclear":
        return " and needs as many bits, as far as can be told"
    low, high = sorted(abs(end) for end in saved.saving_ci)
    less = "fewer" if saved.saving > 0 else "more"
    return f" and needs {percent(abs(saved.saving))} {less} bits ({percent_range(low, high)})"


def _seeds(found: Paired) -> str:
    if found.top1 is None or found.top1.outcome != "better" or len(found.top1.by_seed) < 2:
        return ""
    better, of = found.top1.seeds_better, len(found.top1.by_seed)
    return f"; each of its {of} seeds hits more" if better == of else f"; {better} of its {of} seeds hit clearly more"


def _unpaired(contest: Contest, cell: Cell | None) -> str:
    """By the two intervals, and why not by that of the difference."""
    ours = contest.cell(contest.best)
    if not cell or not ours or cell.high is None or ours.low is None:
        told = "there are too few switches for an interval"
    else:
        told = "the intervals do not overlap" if contest.outcome == "better" else "the intervals overlap"
    return f"{told} (not compared event by event, which finds smaller differences: what that takes was not kept here)"


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

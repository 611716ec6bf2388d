"""Writes the answer in a sentence or two, computed from the scores, and the banners that warn the reader."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from harness.report import trial_noise
from harness.report.baseline_comparison import (
    BaselineComparison,
    PairedComparison,
    headline,
    headline_of_each_arm,
)
from harness.report.model_scores import ScoreEstimate
from harness.report.run_facts import RunFacts
from harness.report.seed_groups import SeedGroup
from harness.report.svg import element
from harness.report.text import count, percent, percent_range, points_range


@dataclass(frozen=True)
class Banner:
    """A warning above the results; `kind` is `bad` or `warn`."""

    kind: str
    title: str
    text: str
    items: tuple[str, ...] = ()


def answer(run: RunFacts, comparisons: list[BaselineComparison]) -> Markup:
    """Answer the question of the experiment in one or two sentences, as safe HTML.

    Scores of different clocks are not compared: each clock of a run has an answer of its own.
    """
    clocks = list(dict.fromkeys(comparison.best.clock for comparison in comparisons))
    if len(clocks) < 2:
        return _answer(comparisons) if comparisons else _no_answer(run)
    answers = [
        Markup("With {}: {}").format(clock.name, _answer([each for each in comparisons if each.best.clock == clock]))
        for clock in clocks
    ]
    return Markup("<br>").join(answers)


def _answer(comparisons: list[BaselineComparison]) -> Markup:
    first = headline(comparisons)
    assert first
    score = first.score_of(first.best)
    where = "the contested switches, where two or more tasks could run"
    if first.split != "contested":
        where = "all switches, none of which was contested"
    sentence = Markup(
        "{name}{chosen} predicts the next {mark} correctly at {score}{interval} of {where}{chance}.{trials}{arm}"
    ).format(
        where=where,
        name=element("strong", first.best.predictor),
        chosen=", the best on the validation part," if first.chosen_on_validation and first.has_non_baseline else "",
        mark="task’s name" if first.mark == "comm" else "task",  # noqa: RUF001
        score=element("strong", percent(score.value if score else None)),
        arm=_arm(first, comparisons),
        interval=_interval(score, first.best),
        trials=_range_over_trials(first),
        chance=_against_chance(first),
    )
    return sentence + " " + _against_baseline(first)


def _arm(first: BaselineComparison, comparisons: list[BaselineComparison]) -> str:
    """Which arm the score is from, and the range of the best scores of the other arms."""
    if len({comparison.arm for comparison in comparisons}) < 2:
        return ""
    others = [
        other.best.test_score
        for other in headline_of_each_arm(comparisons)
        if other.split == first.split and other is not first
    ]
    if not others:
        return f" The arm is {first.arm}."
    scores = percent(others[0]) if len(others) == 1 else percent_range(min(others), max(others))
    return f" The arm is {first.arm}, one of {len(others) + 1}; in the other arms the best predictor scores {scores}."


def _interval(score: ScoreEstimate | None, group: SeedGroup) -> str:
    interval = percent_range(score.low, score.high) if score else ""
    return f" (95\u202f% interval {interval}, {group.basis.text})" if interval else ""


def _against_chance(comparison: BaselineComparison) -> Markup:
    """How often a blind pick is right, and whether the best predictor beats that."""
    if comparison.chance is None:
        return Markup("")
    against = comparison.below_or_at_chance
    said = Markup(", so this is {}").format(element("strong", against)) if against else ""
    return Markup("; a random pick is correct at {}{}").format(percent(comparison.chance), said)


def _range_over_trials(comparison: BaselineComparison) -> str:
    """The range of the scores of single trials, and whether it is more than each trial's own noise explains."""
    scores = comparison.best.by_trial(comparison.split).values()
    if len(scores) < 2:
        return ""
    text = f" Its scores in the {len(scores)} single trials are {percent_range(min(scores), max(scores))}"
    differ = comparison.trials_differ
    if differ is None:
        return f"{text}."
    return f"{text}: they differ by {'' if differ else 'no '}more than their own noise."


def _against_baseline(comparison: BaselineComparison) -> Markup:
    baseline = comparison.baseline
    if comparison.outcome == "untried":
        return Markup("Only baselines were scored with these inputs.")
    if comparison.outcome == "baseline":
        return element("strong", "Nothing beats the baseline:") + " the best predictor is itself a baseline."
    if comparison.outcome == "alone" or baseline is None:
        return Markup("No baseline was scored beside it, so this does not show how much was learned.")
    score = comparison.score_of(baseline)
    inputs = f" (inputs: {baseline.inputs}, fewer than {comparison.inputs})" * comparison.baseline_has_fewer_inputs
    reaches = f"{baseline.predictor}{inputs}, reaches {percent(score.value if score else None)}"
    if comparison.paired and comparison.paired.top1:
        return _verdict(comparison.outcome, reaches, _paired_difference(comparison.paired))
    return _verdict(comparison.outcome, reaches + _interval(score, baseline), _interval_overlap(comparison, score))


def _verdict(outcome: str, baseline_reaches: str, reason: str) -> Markup:
    if outcome == "better":
        return Markup("The best baseline, {}; {}.").format(baseline_reaches, reason)
    doubt = "It does worse than the baseline." if outcome == "worse" else "It does not clearly beat the baseline."
    return Markup("{} The best baseline, {}; {}.").format(element("strong", doubt), baseline_reaches, reason)


def _paired_difference(pair: PairedComparison) -> str:
    """On the same events: the difference in hits, the bits saved, and how many seeds are better."""
    top1, name = pair.top1, pair.best.predictor
    if top1 is None or top1.together.difference_ci is None:
        return "there are too few switches for an interval of the difference"
    difference = top1.together.difference
    text = f"on the same events {name} hits {100 * abs(difference):.1f} points {'more' if difference >= 0 else 'less'}"
    text += f" (95\u202f% interval of the difference {points_range(top1.together.difference_ci)}, {pair.basis.text}"
    return text + (", so it may be chance)" if top1.outcome == "unclear" else ")") + _bits(pair) + _seeds(pair)


def _bits(pair: PairedComparison) -> str:
    saved = pair.bits.together if pair.bits else None
    if pair.bits is None or saved is None or saved.saving is None or saved.saving_ci is None:
        return ""
    if pair.bits.outcome == "unclear":
        return ", with no clear difference in bits"
    low, high = sorted(abs(end) for end in saved.saving_ci)
    less = "fewer" if saved.saving > 0 else "more"
    return f" and needs {percent(abs(saved.saving))} {less} bits ({percent_range(low, high)})"


def _seeds(pair: PairedComparison) -> str:
    if pair.top1 is None or pair.top1.outcome != "better" or len(pair.top1.by_seed) < 2:
        return ""
    better, total = pair.top1.seeds_better, len(pair.top1.by_seed)
    if better == total:
        return f"; each of its {total} seeds hits more"
    return f"; {better} of its {total} seeds hit clearly more"


def _interval_overlap(comparison: BaselineComparison, baseline: ScoreEstimate | None) -> str:
    """Whether the intervals of the two scores overlap, and why the difference has no interval of its own."""
    best = comparison.score_of(comparison.best)
    if not baseline or not best or baseline.high is None or best.low is None:
        text = "there are too few switches for an interval"
    else:
        text = "the intervals do not overlap" if comparison.outcome == "better" else "the intervals overlap"
    return f"{text} (this run did not keep single events, so the difference has no interval of its own)"


def _no_answer(run: RunFacts) -> Markup:
    if run.integrity.unbelieved_models and not run.models:
        return Markup("There is no answer: the files of this run’s models are not as it wrote them.")  # noqa: RUF001
    if run.wants_models:
        return Markup("There is no answer yet: no predictor has been scored in this run.")
    usable = [trial.recording for trial in run.trials if trial.recording and trial.ok is True]
    bare = sum(trial.untraced and trial.ok is True for trial in run.trials)
    if bare and not usable:
        return Markup("This experiment measures what its load gets: {}.").format(_without_tracer(bare))
    if not usable:
        return Markup("There is no answer yet: no usable recording has been made.")
    slices = count(sum(recording.switches for recording in usable))
    recordings = f"{len(usable)} recording{'s' if len(usable) > 1 else ''} with {slices} slices"
    recordings += f", {_without_tracer(bare)}" if bare else ""
    return Markup("This experiment only records: {}, and no predictor requested.").format(recordings)


def _without_tracer(trials: int) -> str:
    return f"{trials} trial{'s' if trials > 1 else ''} without a tracer"


def banners(run: RunFacts) -> list[Banner]:
    """Return what the reader must know before the numbers, worst first."""
    return [*_failed(run), *_incomplete(run), *_odd(run), *_fallback(run), *_unread(run)]


def _failed(run: RunFacts) -> list[Banner]:
    failed = [trial for trial in run.trials if trial.ok is False]
    if not failed:
        return []
    items = tuple(
        f"{trial.name}: " + ("; ".join(check.text for check in trial.checks if not check.ok) or "failed")
        for trial in failed
    )
    title = f"{len(failed)} of {len(run.trials)} trials failed their verdict"
    return [Banner("bad", title, "Their recordings are shown below, but are not reliable.", items)]


def incomplete(run: RunFacts) -> list[str]:
    """Return why the run is not complete, one sentence per reason; none where it is complete."""
    reasons = []
    if run.state in {"interrupted", "failed"}:
        stopped = "The campaign failed" if run.state == "failed" else f"The campaign was {run.state}"
        reasons.append(stopped + (f": {run.error}" if run.error else "."))
    usable = sum(trial.ok is True for trial in run.trials)
    if run.planned is not None and usable < run.planned:
        reasons.append(f"{usable} of {run.planned} planned trials have a recording that passed its verdict.")
    unfinished = [f"{step.name} ({step.state})" for step in run.unfinished]
    if unfinished:
        reasons.append("Steps not done: " + ", ".join(unfinished) + ".")
    if run.wants_models and not run.models:
        reasons.append("The experiment asks for predictors, but none has been scored.")
    return reasons


def _incomplete(run: RunFacts) -> list[Banner]:
    reasons, text = incomplete(run), "The numbers below describe what has been recorded and scored so far."
    return [Banner("bad", "This run is incomplete", text, tuple(reasons))] if reasons else []


def _odd(run: RunFacts) -> list[Banner]:
    """Trials that differ from the others of their arm by more than noise."""
    odd = trial_noise.odd_lines([trial.record for trial in run.trials])
    if not odd:
        return []
    title = (
        "1 trial differs from the others of its arm" if len(odd) == 1 else f"{len(odd)} trials differ from the others"
    )
    text = (
        "Section 2 shows what the host did meanwhile. If it was busy, record the trial again: delete its folder in "
        f"trials/, then harness run --resume {run.name}. If it was calm, the difference is a result: raise "
        f"trials.repeat, or see with harness repeat {run.name} whether it comes back."
    )
    items = tuple(line for lines in odd.values() for line in lines)
    return [Banner("warn", f"{title} by more than noise", text, items)]


def _fallback(run: RunFacts) -> list[Banner]:
    if not run.fallback_reason:
        return []
    used = (run.manifest.get("box") or {}).get("name", "another one")
    title = f"Fallback box: this ran on {used}, not on {run.requested_box}"
    text = "Its kernel and scheduler are not the ones that the experiment names."
    return [Banner("warn", title, text, (run.fallback_reason,))]


def _unread(run: RunFacts) -> list[Banner]:
    return (
        [Banner("warn", "Some of this run cannot be read", "It is left out here.", tuple(run.problems))]
        if run.problems
        else []
    )

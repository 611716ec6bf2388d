"""Which two sides of one or more runs are compared, found by the names of arms and runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness import plan
from harness.comparison.measured.observation import Observation
from harness.errors import HarnessError, UsageError
from harness.plan import AGAIN
from harness.store import RunFolder

LONGEST_LABEL = 40
Observed = Mapping[str, Sequence[Observation]]  # by the name of the run


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: an arm, in one run or several. `label` says what sets it apart."""

    label: str
    arm: str
    runs: tuple[str, ...]
    observations: tuple[Observation, ...]

    def values(self, metric: str) -> list[float]:
        """Return the values of a metric in the trials that have it, in recording order."""
        return [one.values[metric] for one in self.observations if metric in one.values]


@dataclass(frozen=True)
class _Choice:
    arm: str
    run: str | None = None  # None: every run that has the arm


def in_order_of_arms(run: RunFolder, observations: Iterable[Observation]) -> list[Observation]:
    """Sort the trials of a run by arm as its experiment lists them, and those of an arm as they were."""
    names: list[str] = []
    with suppress(HarnessError):  # an experiment of another version: then as the trials are
        names = [arm.name for arm in plan.arms(run.experiment)]
    places = {name: place for place, name in enumerate(names)}
    return sorted(observations, key=lambda one: places.get(one.arm, len(places)))


def arms_of(observed: Observed) -> list[str]:
    """Return the arms of all runs in their order, without those that repeat the first."""
    return _without_twins(list(dict.fromkeys(one.arm for run in observed.values() for one in run)))


def _without_twins(arms: Sequence[str]) -> list[str]:
    return [arm for arm in arms if not (arm.endswith(AGAIN) and arm.removesuffix(AGAIN) in arms)]


def pairs_of(observed: Observed, wanted: Sequence[str] | None) -> list[tuple[Side, Side]]:
    """Return the two sides that are wanted; without a wish the first arm with each other arm, in the order of arms.

    Raises UsageError where an arm or a run is unknown, and where there are no two sides.
    """
    if wanted:
        first, second = (_choice(observed, text) for text in wanted)
        if first == second:
            raise UsageError(
                "an arm is compared with itself", where=wanted[0], expected="two arms, or an arm of two runs"
            )
        return [_sides(observed, first, second)]
    arms = arms_of(observed)
    if len(arms) > 1:
        return [_sides(observed, _Choice(arms[0]), _Choice(other)) for other in arms[1:]]
    if len(observed) == 2:
        return [_sides(observed, *(_Choice(arms[0], run) for run in observed))]
    runs = ", ".join(observed)
    hint = "name another run; a run with a sweep has several arms, and `harness repeat` records a run again"
    raise UsageError(f"there is one arm only, {arms[0]}", where=runs, expected="two arms, or two runs", hint=hint)


def null_pair(observed: Observed, first: Side) -> tuple[Side, Side] | None:
    """Return a side's arm and its twin in the runs of that side, which are equals; None where no arm there has one."""
    observed = {run: observed[run] for run in first.runs}
    arms = {one.arm for run in observed.values() for one in run}
    twins = [arm for arm in arms if arm.endswith(AGAIN) and arm.removesuffix(AGAIN) in arms]
    base = first.arm if first.arm + AGAIN in twins else min((arm.removesuffix(AGAIN) for arm in twins), default=None)
    if base is None:
        return None
    one, again = (_side(observed, _Choice(arm), base) for arm in (base, base + AGAIN))
    label = _labels(one, first)[0] if one.arm != first.arm else first.label
    return _labelled(one, label), _labelled(again, f"{label}, again")


def _choice(observed: Observed, text: str) -> _Choice:
    """Find `ARM` or `RUN:ARM`; each by its whole name, or a part that only one has."""
    run, _, arm = text.rpartition(":")
    of_run = _matching(run, observed, "run") if run else None
    known = {one.arm for name in observed if of_run in (None, name) for one in observed[name]}
    return _Choice(_matching(arm, known, "arm"), of_run)


def _matching(text: str, known: Iterable[str], what: str) -> str:
    names = sorted(known)
    found = [name for name in names if name == text] or _without_twins([name for name in names if text in name])
    if len(found) == 1:
        return found[0]
    near = difflib.get_close_matches(text, names, 1, cutoff=0.4)
    problem = f"{text!r} is part of the name of {len(found)} {what}s" if found else f"no {what} {text!r}"
    hint = f"did you mean {near[0]}?" if near and not found else None
    raise UsageError(problem, expected=f"one of: {', '.join(found or names)}", hint=hint)


def _sides(observed: Observed, first: _Choice, second: _Choice) -> tuple[Side, Side]:
    left, right = (_side(observed, choice, choice.arm) for choice in (first, second))
    return tuple(map(_labelled, (left, right), _labels(left, right)))  # type: ignore[return-value]


def _side(observed: Observed, choice: _Choice, label: str) -> Side:
    runs = [run for run in observed if choice.run in (None, run)]
    chosen = tuple(one for run in runs for one in observed[run] if one.arm == choice.arm)
    return Side(label, choice.arm, tuple(dict.fromkeys(one.run for one in chosen)), chosen)


def _labelled(side: Side, label: str) -> Side:
    return Side(label, side.arm, side.runs, side.observations)


def _labels(first: Side, second: Side) -> tuple[str, str]:
    """Name each side by the settings that differ, `concurrency 8`; where that is long by its arm, or by its run.

    Arms of two experiments that sweep different settings are named by what their names do not share.
    """
    if first.arm == second.arm:
        return first.runs[0], second.runs[0]
    left, right = (dict(side.observations[0].settings) for side in (first, second))
    paths = [path for path in {**left, **right} if left.get(path) != right.get(path)]
    one, other = (", ".join(_setting(path, settings) for path in paths) for settings in (left, right))
    short = one != other and max(len(one), len(other)) <= LONGEST_LABEL and left.keys() == right.keys()
    return (one, other) if short else _what_differs(first.arm, second.arm)


def _what_differs(first: str, second: str) -> tuple[str, str]:
    """Return the names of two arms without the parts that both have: `kernel-own` of `nginx_ab__kernel-own`."""
    left, right = first.split("__"), second.split("__")
    one = "__".join(part for part in left if part not in right)
    other = "__".join(part for part in right if part not in left)
    return (one, other) if one and other else (first, second)


def _setting(path: str, settings: Mapping[str, Any]) -> str:
    return f"{path.rpartition('.')[2]} {settings.get(path, '-')}"

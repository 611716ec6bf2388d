"""Two sides compared, metric by metric: which is it, and how sure may one be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from html import escape
from typing import Any, TypeGuard

import pandas as pd

from harness.comparison import doubts, sentence, sides
from harness.comparison.facts.differing import differing, facts_of
from harness.comparison.facts.fact_difference import FactDifference
from harness.comparison.measured.metrics import BY_KERNEL
from harness.comparison.measured.metrics import primary as primary_of
from harness.comparison.measured.observation import observe
from harness.comparison.sides import Observed, Side
from harness.comparison.stated import MARGINS, Stated, is_margin, stated_by
from harness.comparison.statistics import effects as effects_of_metrics
from harness.comparison.statistics import inference
from harness.comparison.statistics.design import Design, describe, paired
from harness.comparison.statistics.effect import Effect
from harness.counted import counted
from harness.errors import UsageError
from harness.listed import shortened
from harness.recorded_clock import two_clocks
from harness.store import RunFolder

NAMED = 6  # metrics or facts in a sentence


@dataclass(frozen=True)
class Comparison:
    """Two sides, their design, and the effect of each metric that both have; `missing` are those that one has.

    `null` compares two equals, the first arm and its twin, by the same method. `facts` differ besides the arm;
    `settings` are the arm itself. `limit`: why no metric could be called different, whatever its values. `primary`: the
    metric that the experiment names (`compare.metric`), else the load's first rate; None where the sides have neither.
    """

    first: Side
    second: Side
    design: Design
    effects: tuple[Effect, ...]
    missing: Mapping[str, tuple[str, ...]]
    null: Comparison | None = None
    facts: tuple[FactDifference, ...] = ()
    settings: tuple[FactDifference, ...] = ()
    primary: str | None = None
    limit: str = ""

    @cached_property
    def sentence(self) -> str:
        """The result in one sentence."""
        labels = self.first.label, self.second.label
        text = sentence.of(*labels, self.effects, self.primary or "", interleaved=self.design.interleaved)
        return f"{text}; {self.limit}" if self.limit else text

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What stands above the sentence: equals or runs that differ, loads of two lengths, facts besides the arm."""
        found = []
        if self.null and (wrong := [effect.metric.name for effect in self.null.effects if effect.differs]):
            of_all = f"{len(wrong)} of {counted(len(self.null.effects), 'metric')} ({shortened(wrong, NAMED)})"
            itself = f"{self.null.first.label} against itself is called different in {of_all}"
            found.append(f"alarm: {itself}, so doubt every difference here")
        equals = doubts.of_equals(self.effects, self.null.effects if self.null else ())
        lengths = doubts.of_load_lengths(self.first, self.second, self.effects)
        found += [doubt for doubt in (equals, doubts.of_runs(self.effects), lengths) if doubt]
        if self.differing:
            names = shortened([fact.name for fact in self.differing], NAMED)
            verb = "differs" if len(self.differing) == 1 else "differ"
            found.append(f"{counted(len(self.differing), 'fact')} {verb} besides the arm and may be the cause: {names}")
        return tuple(found)

    @property
    def differing(self) -> tuple[FactDifference, ...]:
        """The facts that set the sides apart; the others of `facts` vary from block to block, alike on both sides."""
        return tuple(fact for fact in self.facts if fact.first != fact.second)

    def effect(self, metric: str) -> Effect:
        """Return the effect of a metric by its name. Raises UsageError."""
        for effect in self.effects:
            if effect.metric.name == metric:
                return effect
        names = ", ".join(effect.metric.name for effect in self.effects)
        raise UsageError(f"no metric {metric!r}", expected=f"one of: {names}")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "sentence": self.sentence,
            "warnings": list(self.warnings),
            "first": _side_values(self.first),
            "second": _side_values(self.second),
            "design": asdict(self.design),
            "level": inference.LEVEL,
            "primary": self.primary,
            "effects": [asdict(effect) for effect in self.effects],
            "missing": {side: list(names) for side, names in self.missing.items()},
            "null": self.null.to_dict() if self.null else None,
            "facts": [asdict(fact) for fact in self.facts],
            "settings": [asdict(fact) for fact in self.settings],
        }

    def frame(self) -> pd.DataFrame:
        """Return a row for each metric: its values, effect, interval, p-values and outcome."""
        rows = [
            {
                "metric": effect.metric.name,
                "first": effect.first,
                "second": effect.second,
                "effect": effect.value,
                "low": effect.interval.low if effect.interval else None,
                "high": effect.interval.high if effect.interval else None,
                "p": effect.p,
                "p_adjusted": effect.p_adjusted,
                "detectable": effect.detectable,
                "equivalence_p": effect.equivalence_p,
                "within": effect.within,
                "units": effect.units,
                "outcome": effect.outcome,
            }
            for effect in self.effects
        ]
        return pd.DataFrame(rows).set_index("metric") if rows else pd.DataFrame()

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.design.notes)
        return f"<p>{escape(self.sentence)}</p>{self.frame().to_html()}<ul>{notes}</ul>"


def compare(
    runs: Sequence[RunFolder],
    arms: tuple[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    margin: float | None = None,
    across_clocks: bool = False,
) -> Comparison:
    """Compare two sides of one or more runs. Changes none of them.

    `arms`: `ARM` or `RUN:ARM` of each side; unnecessary where there are two arms, or two runs of one arm. `metrics`:
    their names or how these begin. `margin`: a smaller difference does not matter (0.01: 1 %, a point of a share,
    0.01 bits); without it `compare.margin` of the experiment, of several the smallest. Raises UsageError for names that
    are unknown, a margin that is no share, no or more than two sides, a run that is given twice, and sides of different
    clocks without `across_clocks`; StoreError for a run without usable trials, and for a damaged one.
    """
    found = compare_all(runs, arms, metrics, margin, across_clocks)
    if len(found) > 1:
        names = ", ".join([found[0].first.arm, *(each.second.arm for each in found)])
        raise UsageError("there are more than two arms", expected=f"two of: {names}", hint="name the two arms")
    return found[0]


def compare_all(
    runs: Sequence[RunFolder],
    arms: tuple[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    margin: float | None = None,
    across_clocks: bool = False,
) -> tuple[Comparison, ...]:
    """Compare the first arm with each other arm as `compare` does; p-values are adjusted over all of them together."""
    if margin is not None and not is_margin(margin):
        raise UsageError(f"{margin!r} is no margin", where="margin", expected=MARGINS)
    _require_names(arms, metrics)
    observed = _observed(runs)
    pairs = sides.pairs_of(observed, arms)
    if not across_clocks:
        for pair in pairs:
            _require_one_clock(*pair)
    stated = stated_by(runs)
    stated = stated if margin is None else replace(stated, margin=margin)
    null = sides.null_pair(observed, pairs[0][0])
    equals = _adjusted([_compare(*null, metrics, stated)])[0] if null and _shares_a_metric(*null) else None
    return tuple(replace(each, null=equals) for each in _adjusted([_compare(*pair, metrics, stated) for pair in pairs]))


def _require_names(arms: object, metrics: object) -> None:
    """Raise UsageError unless the arms are two names in their order, and the metrics names, none of them empty."""
    if arms is not None and not (_are_names(arms) and len(arms) == 2):
        raise UsageError(f"{arms!r} is no pair of arms", where="arms", expected="two names, the first side first")
    if metrics is not None and not _are_names(metrics):
        raise UsageError(f"{metrics!r} is no list of metrics", where="metrics", expected="names, or how they begin")


def _are_names(values: object) -> TypeGuard[Sequence[str]]:
    return isinstance(values, list | tuple) and bool(values) and all(isinstance(v, str) and v for v in values)


def _observed(runs: Sequence[RunFolder]) -> Observed:
    paths = [run.path for run in runs]
    if not runs:
        raise UsageError("no run is given", expected="a run, or several")
    for path in paths:
        if sum(path.name == other.name for other in paths) > 1:
            raise UsageError("a run is given twice, or with a copy of it", where=path.name, expected="different runs")
    return {run.path.name: sides.in_order_of_arms(run, observe(run)) for run in runs}


def _compare(first: Side, second: Side, metrics: Sequence[str] | None, stated: Stated) -> Comparison:
    pairs = paired(first, second)
    design = describe(first, second, pairs)
    known = differing(*(facts_of(side.observations) for side in (first, second)))
    effects, notes = effects_of_metrics.of(first, second, pairs, design.unit, metrics, stated.margin)
    return Comparison(
        first,
        second,
        replace(design, notes=(*design.notes, *notes)),
        tuple(effects),
        {"first": _missing(first, second), "second": _missing(second, first)},
        facts=known.besides,
        settings=known.arm,
        primary=_primary([effect.metric.name for effect in effects], stated.metric),
    )


def _primary(names: Sequence[str], stated: str | None) -> str | None:
    name = stated if stated in names else primary_of(names)
    return name if name in names else None


def _adjusted(found: list[Comparison]) -> list[Comparison]:
    """Adjust the p-values of all metrics of these comparisons together, and decide what each metric shows."""
    effects = [effect for each in found for effect in each.effects]
    tested = sum(effect.p is not None for effect in effects)
    adjusted = iter(inference.holm([effect.p for effect in effects if effect.p is not None]))
    decided = iter([effects_of_metrics.decided(e, None if e.p is None else next(adjusted), tested) for e in effects])
    return [_with_limit(replace(each, effects=tuple(next(decided) for _ in each.effects)), tested) for each in found]


def _with_limit(found: Comparison, tested: int) -> Comparison:
    limit = _limit(found, tested)
    notes = (*found.design.notes, limit) if limit else found.design.notes
    return replace(found, limit=limit, design=replace(found.design, notes=notes))


def _limit(found: Comparison, tested: int) -> str:
    """Say where so few units and so many metrics leave no p-value below 5 %, whatever the values are."""
    units, needed = max((effect.units for effect in found.effects), default=0), inference.enough_units(max(tested, 1))
    if not tested or units >= needed:
        return ""
    metrics, units_text = counted(tested, "metric"), counted(units, found.design.unit)
    return f"{units_text} are too few to call any of {metrics} different: {needed} are needed, or fewer metrics"


def _require_one_clock(first: Side, second: Side) -> None:
    clocks = dict.fromkeys(one.clock for side in (first, second) for one in side.observations)
    if len(clocks) > 1:
        texts = "; of the other, ".join(clock.text for clock in clocks)
        raise two_clocks(f"the clock of one trial is {texts}", f"{first.arm}, {second.arm}")


def _shares_a_metric(first: Side, second: Side) -> bool:
    return any(one.values for one in first.observations) and any(one.values for one in second.observations)


def _missing(side: Side, other: Side) -> tuple[str, ...]:
    known = {name for one in other.observations for name in one.values}
    names = dict.fromkeys(name for one in side.observations for name in one.values)
    return tuple(name for name in names if not {name, name.removeprefix(BY_KERNEL)} & known)


def _side_values(side: Side) -> dict[str, Any]:
    trials = [f"{one.run}/{one.trial}" for one in side.observations]
    return {"label": side.label, "arm": side.arm, "runs": list(side.runs), "trials": trials}

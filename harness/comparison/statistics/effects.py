"""The effect of each metric of two sides: in each block and over all, with what may be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import expm1, inf, log, log1p

import numpy as np

from harness.comparison.measured import metrics
from harness.comparison.measured.metrics import Metric
from harness.comparison.measured.observation import Observation
from harness.comparison.measured.units import UNITS, step_of
from harness.comparison.sides import Side
from harness.comparison.statistics import inference
from harness.comparison.statistics.design import Pair, Unit, sample
from harness.comparison.statistics.effect import BlockEffect, Effect, Interval, Outcome
from harness.comparison.statistics.inference import CHANCE, LEVEL, Sample
from harness.errors import UsageError
from harness.listed import listed


def of(
    first: Side,
    second: Side,
    pairs: Sequence[Pair],
    unit: Unit,
    wanted: Sequence[str] | None,
    margin: float | None,
) -> tuple[list[Effect], list[str]]:
    """Return the effect of each metric that both sides have, before `decided`, and notes on metrics.

    Where the sides share no block, an effect has only values and a range. Raises UsageError for an unknown metric, and
    for one that only one side has.
    """
    known = [dict.fromkeys(name for one in side.observations for name in one.values) for side in (first, second)]
    shared = [name for name in known[0] if name in known[1]]
    _require_on_both(wanted or (), {first.label: known[0], second.label: known[1]}, shared)
    names = metrics.chosen(shared if wanted else metrics.without_doubles(shared), wanted)
    by_kernel = [name for name in names if name.startswith(metrics.BY_KERNEL)]
    effects, notes = [], [f"{listed(by_kernel)}: as the guest's kernel counted"] if by_kernel else []
    for metric in (metrics.metric(name, margin) for name in names):
        used = [pair for pair in pairs if metric.name in pair.first.values and metric.name in pair.second.values]
        values = [side.values(metric.name) for side in (first, second)]
        if used:
            values = [[side.values[metric.name] for side in sides] for sides in _both(used)]
        if metric.scale == "ratio" and min(map(min, values)) <= 0:
            notes.append(f"{metric.name} is left out: it is 0 in a trial, and a ratio has no sense")
            continue
        step = _step(metric, values)
        if step > metric.margin:
            metric = replace(metric, margin=step)
            notes.append(f"{metric.name} is rounded to {_percent(step)} of its value: its margin is no less")
        if len(used) < len(pairs):
            notes.append(f"{metric.name}: {len(used)} of {len(pairs)} blocks have it on both sides")
        effects.append(_no_finer_than(step, _paired(metric, used, unit) if used else _apart(metric, *values)))
    return effects, notes


def _require_on_both(wanted: Sequence[str], known: Mapping[str, Iterable[str]], shared: Sequence[str]) -> None:
    """Raise UsageError for a metric, or the beginning of one, that only one side has; `known` are those of each."""
    for beginning in wanted:
        having = [side for side, names in known.items() if any(name.startswith(beginning) for name in names)]
        if len(having) == 1:
            what = f"metric {beginning!r} is not on both sides: only {having[0]} has it"
            raise UsageError(what, expected=f"one of: {', '.join(shared)}")


def _step(metric: Metric, values: Sequence[Sequence[float]]) -> float:
    """Return the step in which a latency is written, as a share of the smaller side: `ab` rounds to 1 ms."""
    if metric.unit is not UNITS["ms"]:
        return 0.0
    return step_of(np.concatenate(values)) / min(_typical(metric, side) for side in values)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else f"{100 * share:.1g} %"


def _no_finer_than(step: float, effect: Effect) -> Effect:
    """Return the effect without a claim that is finer than the step: equal digits do not make equal latencies."""
    return effect if effect.within is None else replace(effect, within=max(effect.within, step))


def _both(pairs: Sequence[Pair]) -> tuple[list[Observation], list[Observation]]:
    return [pair.first for pair in pairs], [pair.second for pair in pairs]


def _paired(metric: Metric, pairs: Sequence[Pair], unit: Unit) -> Effect:
    to_scale, back = _scale(metric)
    values = [(pair.first.values[metric.name], pair.second.values[metric.name]) for pair in pairs]
    differences = [to_scale(second) - to_scale(first) for first, second in values]
    blocks = tuple(
        BlockEffect(
            pair.host, pair.first.run, pair.boot, pair.first.block, pair.recorded_at, pair.late, *both, back(difference)
        )
        for pair, both, difference in zip(pairs, values, differences, strict=True)
    )
    units = sample(pairs, np.array(differences), unit)
    first, second = zip(*values, strict=True)
    effect = _effect(metric, first, second, back(float(units.mean)), [each.value for each in blocks])
    effect = replace(effect, units=units.size, blocks=blocks)
    return _inferred(effect, units) if units.is_large_enough else effect


def _inferred(effect: Effect, units: Sample) -> Effect:
    _, back = _scale(effect.metric)
    margin = log1p(effect.metric.margin) if effect.metric.scale == "ratio" else effect.metric.margin
    low, high = map(float, inference.interval(units))
    equivalence_p, within = map(float, inference.equivalence(units, margin))
    return replace(
        effect,
        interval=Interval(back(low), back(high), LEVEL),
        p=float(inference.p_of_sign_flips(units)),
        detectable=back(float(inference.detectable(units))),
        equivalence_p=equivalence_p,
        within=abs(back(within if units.mean > 0 else -within)),
    )


def _apart(metric: Metric, first: Sequence[float], second: Sequence[float]) -> Effect:
    """Compare trials that share no block: the effect of the means, and the furthest that two trials lie apart."""
    to_scale, back = _scale(metric)
    means = [float(np.mean([to_scale(value) for value in side])) for side in (first, second)]
    ends = to_scale(min(second)) - to_scale(max(first)), to_scale(max(second)) - to_scale(min(first))
    effect = _effect(metric, first, second, back(means[1] - means[0]), [back(end) for end in ends])
    return replace(effect, units=min(len(first), len(second)))


def _effect(
    metric: Metric, first: Sequence[float], second: Sequence[float], value: float, values: Sequence[float]
) -> Effect:
    return Effect(
        metric=metric,
        first=_typical(metric, first),
        second=_typical(metric, second),
        value=value,
        interval=None,
        range=(min(values), max(values)),
        p=None,
        p_adjusted=None,
        detectable=None,
        equivalence_p=None,
        within=None,
        units=0,
        blocks=(),
        outcome="too few",
    )


def decided(effect: Effect, p_adjusted: float | None, tested: int) -> Effect:
    """Return the effect with its adjusted p-value and what it shows, as one of `tested` metrics."""
    return replace(effect, p_adjusted=p_adjusted, outcome=_outcome(effect, p_adjusted, tested))


def _outcome(effect: Effect, p_adjusted: float | None, tested: int) -> Outcome:
    if p_adjusted is None:
        return "too few"
    if p_adjusted < CHANCE:
        return "higher" if effect.value > 0 else "lower"
    if (effect.equivalence_p or 0.0) < CHANCE:
        return "no different"
    return "cannot say" if inference.enough_units(tested) <= effect.units else "too few"


def _typical(metric: Metric, values: Sequence[float]) -> float:
    if metric.scale == "ratio":
        return float(np.exp(np.mean(np.log(values))))
    return float(np.mean(values))


def _scale(metric: Metric) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Return what makes of a value what is averaged, and of a difference of these what is said."""
    if metric.scale == "ratio":
        return log, lambda difference: expm1(difference) if difference < 700 else inf
    return float, float

"""Turns effects into text and into positions: percent of the first side, points, or bits."""

from __future__ import annotations

import math

from harness.comparison.measured.metrics import Metric, Scale
from harness.comparison.statistics.effect import Effect, Interval
from harness.comparison.statistics.inference import CHANCE
from harness.report.text import MINUS, NO_VALUE

UNITS: dict[Scale, str] = {"ratio": "\u202f%", "share": "\u202fpoints", "bits": "\u202fbits"}
FACTORS: dict[Scale, float] = {"ratio": 100.0, "share": 100.0, "bits": 1.0}
MANIFOLD = 10.0  # a ratio from here on is said as a factor: +1,130 % is hard to read
LEAST_RATIO = 1e-6  # of positions, and its inverse the largest: a metric that fell to nothing has no logarithm


def length_of(scale: Scale, value: float) -> float:
    """Return where `value` lies on its axis: the logarithm of a ratio, so that half is as far from zero as double."""
    return math.log(min(max(1 + value, LEAST_RATIO), 1 / LEAST_RATIO)) if scale == "ratio" else value


def change(scale: Scale, value: float | None, digits: int | None = None) -> str:
    """Format an effect without its unit: +3.1, and a tenfold ratio or more as a factor: ×12.3."""  # noqa: RUF002
    if value is None or not math.isfinite(value):
        return NO_VALUE
    if scale == "ratio" and 1 + value >= MANIFOLD:
        return f"×{1 + value:.3g}"  # noqa: RUF001 - the sign of a factor
    shown = FACTORS[scale] * value
    places = digits_for(scale, value) if digits is None else digits
    text = f"{shown:+.{places}f}"
    return (text.lstrip("+-") if float(text) == 0 else text).replace("-", MINUS)


def digits_for(scale: Scale, *values: float | None) -> int:
    """Return how many digits show the largest of `values` with two or three of its own."""
    largest = max((abs(FACTORS[scale] * value) for value in values if value is not None), default=0.0)
    if scale == "bits":
        return 3
    return 2 if largest < 1 else 1 if largest < 100 else 0


def with_unit(scale: Scale, value: float | None, digits: int | None = None) -> str:
    """Format an effect with its unit: +3.1 %; a factor has none."""
    text = change(scale, value, digits)
    return text if text == NO_VALUE or text.startswith("×") else text + UNITS[scale]  # noqa: RUF001


def size(scale: Scale, value: float | None) -> str:
    """Format a distance from zero, which has no sign: 0.6 points; one that would be shown as zero as < 0.01 points."""
    text = with_unit(scale, value)
    if value and not any(digit in text for digit in "123456789"):
        return "<\u202f" + text[: -len(UNITS[scale])][:-1] + "1" + UNITS[scale]
    return text.lstrip("+")


def effect_text(effect: Effect) -> str:
    """Format the effect alone, with as many digits as its interval."""
    return with_unit(effect.metric.scale, effect.value, _digits(effect))


def interval_text(effect: Effect) -> str:
    """Format the interval in square brackets; of too few units the range of the blocks, named as such."""
    scale, digits = effect.metric.scale, _digits(effect)
    if effect.interval is not None:
        return f"[{change(scale, effect.interval.low, digits)}, {change(scale, effect.interval.high, digits)}]"
    low, high = effect.range
    return f"blocks {change(scale, low, digits)} to {change(scale, high, digits)}"


def ends(effect: Effect) -> Interval:
    """Return the interval, or the range of the blocks where there is none."""
    return effect.interval or Interval(*effect.range, level=1.0)


def side_value(metric: Metric, value: float) -> str:
    """Format a value of one side in the metric's own unit."""
    unit = metric.unit
    name = {"us": "µs", "%": "%"}.get(unit.name, unit.name)
    shown = f"{unit.factor * value:,{unit.form}}".replace(",", "\u202f").replace("-", MINUS)
    return f"{shown}{name}" if name.startswith("/") else f"{shown}\u202f{name}"


def chance(p: float | None) -> str:
    """Format a p-value: 0.012, and < 0.001."""
    return NO_VALUE if p is None else "<\u202f0.001" if p < 0.001 else f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def outcome_text(effect: Effect) -> str:
    """Say the outcome, and of a difference whether it is the better way, and whether it is too small to matter."""
    if effect.outcome == "no different":
        within = size(effect.metric.scale, effect.within)
        return f"no different: within {'' if within.startswith('<') else '±'}{within}"
    if effect.outcome == "too few":
        return "too few blocks to say"
    if effect.outcome == "cannot say":
        corrected = effect.p is not None and effect.p < CHANCE
        return f"cannot say: p {chance(effect.p_adjusted)} after correction" if corrected else "cannot say"
    within = f"but within ±{size(effect.metric.scale, effect.metric.margin)}" if effect.is_small else ""
    return ", ".join(word for word in (effect.outcome, way(effect), within) if word)


def _digits(effect: Effect) -> int:
    interval = ends(effect)
    return digits_for(effect.metric.scale, effect.value, interval.low, interval.high)


def way(effect: Effect) -> str:
    """Return `better` or `worse` for a difference of a metric that has a better way, else nothing."""
    if not effect.differs or effect.metric.better is None:
        return ""
    return "better" if effect.outcome == effect.metric.better else "worse"


def unit_name(metric: Metric) -> str:
    """Return the unit that the values of a metric are shown in."""
    return {"us": "µs", "/s": "per second"}.get(metric.unit.name, metric.unit.name)

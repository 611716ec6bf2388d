"""A comparison in one sentence: the metric it is about, the clearest wakeup latency, the best predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, log1p

from harness.comparison.statistics.effect import Effect, Interval
from harness.counted import counted

SCALES = {"ratio": (100, "%"), "share": (100, "points"), "bits": (1, "bits")}  # factor, unit of an effect
ACCURACY = ": contested accuracy"


def of(first: str, second: str, effects: Sequence[Effect], primary: str, *, interleaved: bool) -> str:
    """Say what the second side has more or less of than the first; what cannot be said is said to be so."""
    if not effects:
        return f"{first} and {second} have no metric in common"
    main = next((effect for effect in effects if effect.metric.name == primary), effects[0])
    others = [effect for effect in (_wakeup(effects), _best_predictor(effects)) if effect and effect is not main]
    text = "; ".join([_main(first, second, main), *map(_other, others)])
    return text if interleaved else f"{text}; not recorded side by side, so it may be the hour and not the arm"


def amount(effect: Effect) -> str:
    """Return an effect with its unit and its interval: `+3.1 % [1.9, 4.3]`; without one, with its range."""
    return f"{change(effect, effect.value)} {spread(effect)}"


def change(effect: Effect, value: float) -> str:
    """Return a change with the unit and the digits of an effect: `+3.1 %`; one that is shown as zero has no sign."""
    factor, unit = SCALES[effect.metric.scale]
    shown = f"{value * factor:+.{_digits(effect)}f}"
    return f"{shown if float(shown) else shown[1:]} {unit}"


def number(effect: Effect, value: float | None) -> str:
    """Return the size of a difference in the unit of an effect, without it; a question mark without a size."""
    return "?" if value is None else f"{abs(value) * SCALES[effect.metric.scale][0]:.{_digits(effect)}f}"


def margin(effect: Effect) -> str:
    """Return the margin of an effect with its unit: `1 %`, `1 point`."""
    factor, unit = SCALES[effect.metric.scale]
    shown = f"{effect.metric.margin * factor:.3g}"
    return f"{shown} {'point' if (shown, unit) == ('1', 'points') else unit}"


def spread(effect: Effect) -> str:
    """Return the interval, `[1.9, 4.3]`; without one the range, `(1.9 to 4.3)`."""
    factor, digits = SCALES[effect.metric.scale][0], _digits(effect)
    ends = (effect.interval.low, effect.interval.high) if effect.interval else effect.range
    low, high = (f"{round(end * factor, digits) + 0.0:.{digits}f}" for end in ends)
    return f"[{low}, {high}]" if effect.interval else f"({low} to {high})"


def size(effect: Effect, value: float | None) -> str:
    """Return the size of a difference with the unit of an effect: `1.9 %`."""
    return f"{number(effect, value)} {SCALES[effect.metric.scale][1]}"


def _digits(effect: Effect) -> int:
    """Return how many decimals the effect is shown with: an interval of 0.02 % needs more than one of 20 %."""
    factor = SCALES[effect.metric.scale][0]
    ends = (effect.interval.low, effect.interval.high) if effect.interval else effect.range
    width = (ends[1] - ends[0]) * factor
    return 3 if width < 0.1 else 2 if width < 1 else 1 if width < 20 else 0


def _main(first: str, second: str, effect: Effect) -> str:
    name = effect.metric.name
    if effect.outcome == "too few":
        blocks = (
            f", in {counted(len(effect.blocks), 'block')}, too few for a verdict" if effect.blocks else ", no verdict"
        )
        return f"{name} of {second} against {first}: {amount(effect)}" + ("" if effect.interval else blocks)
    if effect.range == (0.0, 0.0):
        return f"{name} of {second} and {first} is the same in every block"
    if effect.outcome == "no different":
        return f"{name} of {second} and of {first} differ by no more than {size(effect, effect.within)}"
    if effect.outcome == "cannot say":
        return f"whether {name} of {second} and {first} differs cannot be said: {amount(effect)}"
    small = f", which is within {margin(effect)}" if effect.is_small else ""
    return f"{_change(second, effect)} {_distance(effect)} than {first}{small}"


def _distance(effect: Effect) -> str:
    """Return the interval of a difference whose direction a word gives: 3.2 % fewer [2.2, 4.4], without signs."""
    if effect.interval is None or effect.value > 0:
        return spread(effect)
    return spread(
        replace(effect, interval=Interval(-effect.interval.high, -effect.interval.low, effect.interval.level))
    )


def _change(second: str, effect: Effect) -> str:
    by, name = size(effect, effect.value), effect.metric.name
    if name.endswith("/s"):
        verb, word = "serves" if name.endswith("requests/s") else "has", "more" if effect.value > 0 else "fewer"
        return f"{second} {verb} {by} {word} {name}"
    return f"{second} has {'an' if name[0] in 'aeiou' else 'a'} {name} that is {by} {effect.outcome}"


def _other(effect: Effect) -> str:
    name = effect.metric.name
    if effect.metric.scored:
        predictor, _, score = name.partition(": ")
        name = f"predictability ({predictor}, {score})"
    if effect.interval and effect.interval.holds(0.0) and not effect.differs and effect.metric.scored:
        return f"{name} does not differ by more than {size(effect, effect.within)}"
    return f"{name} {amount(effect)}" + (", which cannot be told from none" if effect.outcome == "cannot say" else "")


def _wakeup(effects: Sequence[Effect]) -> Effect | None:
    """Return the wakeup latency whose change is largest beside its interval; where all are alike the 99th percentile.

    Its p-value would not tell: of few units, all clear changes have the smallest that there is.
    """
    found = [effect for effect in effects if effect.metric.name.startswith("wakeup latency")]
    return max(reversed(found), key=_clearness, default=None)


def _clearness(effect: Effect) -> float:
    """Return the logarithm of a change in widths of its interval; 0 without one."""
    if effect.interval is None or effect.value == 0:
        return 0.0
    width = log1p(effect.interval.high) - log1p(effect.interval.low)
    return abs(log1p(effect.value)) / width if width else inf


def _best_predictor(effects: Sequence[Effect]) -> Effect | None:
    found = [effect for effect in effects if effect.metric.name.endswith(ACCURACY)]
    return max(found, key=lambda effect: effect.first + effect.second, default=None)

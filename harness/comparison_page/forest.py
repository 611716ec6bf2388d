"""Draws all metrics of a comparison as rows on a common axis: effect, interval, margin, and what could have been seen.

Ratios, points and bits have an axis each. Whether a metric differs is seen by the shape and weight of its mark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from harness.comparison.effect import Effect, Interval
from harness.comparison.effect import Scale as Kind
from harness.comparison_page.amounts import (
    FACTORS,
    UNITS,
    effect_text,
    ends,
    interval_text,
    length_of,
    outcome_text,
    with_unit,
)
from harness.comparison_page.legend import point
from harness.report.svg import Scale, element, lane, tick_step, ticks
from harness.report.text import MINUS

TITLES: dict[Kind, str] = {
    "ratio": "Rates and times, in percent of the first side",
    "share": "Shares and accuracies, in percentage points",
    "bits": "Bits per switch",
}
AXES: dict[Kind, str] = {"ratio": "second side against the first", "share": "points more", "bits": "bits more"}
HEIGHT = 30
MIDDLE = 13.0
FOOT = 25.0  # of the bracket of what could have been seen
FAR = 3.0  # times as far from zero as the next: such a row leaves the axis
KEPT_SHARE = 0.7  # of the rows at least stay whole on the axis
DETECTABLE_SHARE = 1.5  # the axis goes as far as the brackets, but not further than this times the effects


@dataclass(frozen=True)
class Panel:
    """The rows that share an axis; its positions are `amounts.length_of`."""

    kind: Kind
    effects: tuple[Effect, ...]
    scale: Scale

    @property
    def title(self) -> str:
        """Return what the axis is about."""
        return TITLES[self.kind]

    @property
    def margins(self) -> list[float]:
        """Return the margins of its rows, each once."""
        return sorted({effect.metric.margin for effect in self.effects})

    def row(self, effect: Effect) -> Markup:
        """Draw the row of one metric."""
        return row(effect, self.scale)

    def axis(self) -> Markup:
        """Draw the axis under the rows."""
        return effect_axis(self.kind, self.scale)


def panels(effects: Sequence[Effect], scales: dict[Kind, Scale] | None = None) -> list[Panel]:
    """Return a panel for each kind of metric that there is; `scales`: axes of another forest, to be kept."""
    groups = {kind: tuple(effect for effect in effects if effect.metric.scale == kind) for kind in TITLES}
    known = scales or {}
    return [Panel(kind, rows, known.get(kind) or effect_scale(rows)) for kind, rows in groups.items() if rows]


def effect_scale(effects: Sequence[Effect]) -> Scale:
    """Return an axis around zero that holds every row but those that are far beyond the others."""
    extents = sorted(_extent(effect) for effect in effects)
    kept = extents[-1]
    for index, (extent, following) in enumerate(pairwise(extents), start=1):
        if index >= KEPT_SHARE * len(extents) and following > FAR * max(extent, _margin(effects)):
            kept = extent
            break
    kept = max(kept, 1.2 * _margin(effects))
    seen = [_length(effect, effect.detectable) for effect in effects if effect.detectable is not None]
    half = max(kept, min(max(seen, default=0.0), DETECTABLE_SHARE * kept)) * 1.05
    return Scale(-half, half)


def row(effect: Effect, scale: Scale) -> Markup:
    """Draw one metric: margin band, zero, bracket of the detectable difference, interval, effect."""
    parts = [_band(effect, scale), *_grid(effect.metric.scale, scale), _line("zero", scale.percent(0.0), "0", "100%")]
    parts += _bracket(effect, scale)
    parts += mark(effect.metric.scale, effect.value, ends(effect), effect.outcome, scale)
    label = f"{effect.metric.name}: {effect_text(effect)} {interval_text(effect)}, {outcome_text(effect)}"
    return lane(HEIGHT, parts, label, class_="effect")


def mark(kind: Kind, value: float, interval: Interval | None, outcome: str, scale: Scale) -> list[Markup]:
    """Draw an effect in its interval; what lies beyond the axis becomes an arrow with the number."""
    style = "differs" if outcome in ("higher", "lower") else outcome.replace(" ", "-")
    parts = []
    at = length_of(kind, value)
    if interval is not None:
        low, high = length_of(kind, interval.low), length_of(kind, interval.high)
        if high >= scale.low and low <= scale.high:
            parts.append(_level(f"interval {style}", scale.percent(low), scale.percent(high)))
        parts += _arrows(low, high, scale)
    if scale.low <= at <= scale.high:
        parts.append(_point(style, scale.percent(at)))
    else:
        right = at > scale.high
        parts += _arrows(at, at, scale)
        parts.append(element("text", with_unit(kind, value), class_="beyond", x="97%" if right else "3%", y=MIDDLE + 4,
                             text_anchor="end" if right else "start"))  # fmt: skip
    return parts


def effect_axis(kind: Kind, scale: Scale) -> Markup:
    """Draw an axis of effects: round values around zero, and what they are."""
    parts: list[Markup] = []
    values = tick_values(kind, scale)
    every = 2 if len(values) > 5 else 1
    middle = values.index(0.0) if 0.0 in values else 0
    for index, value in enumerate(values):
        x = scale.percent(length_of(kind, value))
        parts.append(element("line", class_="tick", x1=x, x2=x, y1="0", y2="4"))
        if (index - middle) % every == 0:
            parts.append(element("text", _tick(kind, scale, value), class_="tick", x=x, y="16", text_anchor="middle"))
    parts.append(element("text", AXES[kind], class_="axis", x="50%", y="33", text_anchor="middle"))
    return lane(40, parts, class_="axis")


def tick_values(kind: Kind, scale: Scale) -> list[float]:
    """Return round values in the axis; of wide ratios powers of two, which lie evenly."""
    if kind != "ratio":
        return ticks(scale, 4)
    if not _wide(scale):
        step = tick_step(math.expm1(scale.low), math.expm1(scale.high), 4)
        count = math.floor(math.expm1(scale.high) / step)
        values = [index * step for index in range(-count, count + 1)]
    else:
        power = max(1, round(scale.high / math.log(2) / 2.5))
        values = [2.0 ** (power * index) - 1 for index in range(-3, 4)]
    return [value for value in values if scale.low <= length_of(kind, value) <= scale.high]


def _wide(scale: Scale) -> bool:
    return scale.high > math.log(1.8)


def _tick(kind: Kind, scale: Scale, value: float) -> str:
    """Format a tick, with no more digits than its step needs."""
    if value == 0:
        return "0"
    if kind == "ratio" and _wide(scale):
        return f"×{1 + value:.3g}"  # noqa: RUF001 - the sign of a factor
    values = tick_values(kind, scale)
    step = FACTORS[kind] * min((b - a for a, b in pairwise(values)), default=1.0)
    digits = next((places for places in range(4) if abs(step * 10**places - round(step * 10**places)) < 1e-6), 4)
    text = f"{FACTORS[kind] * value:+.{digits}f}".replace("-", MINUS)
    return text + UNITS["ratio"] * (kind == "ratio")


def _extent(effect: Effect) -> float:
    interval = ends(effect)
    return max(abs(_length(effect, value)) for value in (effect.value, interval.low, interval.high))


def _length(effect: Effect, value: float | None) -> float:
    return length_of(effect.metric.scale, value or 0.0)


def _margin(effects: Sequence[Effect]) -> float:
    return max(_length(effect, effect.metric.margin) for effect in effects)


def _band(effect: Effect, scale: Scale) -> Markup:
    half = _length(effect, effect.metric.margin)
    left, right = scale.position(-half), scale.position(half)
    return element("rect", class_="margin", x=f"{left:.2f}%", width=f"{right - left:.2f}%", y="0", height="100%")


def _bracket(effect: Effect, scale: Scale) -> Iterator[Markup]:
    if effect.detectable is None:
        return
    half = _length(effect, effect.detectable)
    left, right = scale.percent(-half), scale.percent(half)
    yield element("line", class_="detectable", x1=left, x2=right, y1=FOOT, y2=FOOT)
    for x in (left, right) if half <= scale.high else ():
        yield element("line", class_="detectable", x1=x, x2=x, y1=FOOT - 4, y2=FOOT)


def _grid(kind: Kind, scale: Scale) -> list[Markup]:
    positions = (scale.percent(length_of(kind, value)) for value in tick_values(kind, scale))
    return [_line("grid", x, "0", "100%") for x in positions]


def _line(kind: str, x: str, top: str, bottom: str) -> Markup:
    return element("line", class_=kind, x1=x, x2=x, y1=top, y2=bottom)


def _level(kind: str, left: str, right: str) -> Markup:
    return element("line", class_=kind, x1=left, x2=right, y1=MIDDLE, y2=MIDDLE)


def _point(style: str, x: str) -> Markup:
    return element("svg", point(style), x=x, y=MIDDLE, width="1", height="1", overflow="visible")


def _arrows(low: float, high: float, scale: Scale) -> Iterator[Markup]:
    """Draw an arrow at each end of the axis beyond which the interval goes on."""
    for beyond, x, path in (
        (low < scale.low, "0%", "M0 0 7-4.5V4.5Z"),
        (high > scale.high, "100%", "M0 0-7-4.5V4.5Z"),
    ):
        if beyond:
            arrow = element("path", class_="arrow", d=path)
            yield element("svg", arrow, x=x, y=MIDDLE, width="1", height="1", overflow="visible")

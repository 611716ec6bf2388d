"""Draws all metrics of a comparison as rows on a common axis: effect, interval, margin, and what could have been seen.

Ratios, points and bits have an axis each. Whether a metric differs is seen by the shape and weight of its mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.comparison.measured.metrics import Scale
from harness.comparison.statistics.effect import Effect, Interval
from harness.comparison_page.amounts import effect_text, ends, interval_text, outcome_text, with_unit
from harness.comparison_page.effect_axis import EffectAxis
from harness.comparison_page.legend import point
from harness.report.svg import element, lane

TITLES: dict[Scale, str] = {
    "ratio": "Rates and times, in percent of the first side",
    "share": "Shares and accuracies, in percentage points",
    "bits": "Bits per switch",
}
HEIGHT = 30
MIDDLE = 13.0
FOOT = 25.0  # of the bracket of what could have been seen


@dataclass(frozen=True)
class Panel:
    """The rows that share an axis."""

    kind: Scale
    effects: tuple[Effect, ...]
    axis: EffectAxis

    @property
    def title(self) -> str:
        """Return what the axis is about."""
        return TITLES[self.kind]

    @property
    def has_intervals(self) -> bool:
        """Return whether any of its rows has more than the range of its blocks."""
        return any(effect.interval is not None for effect in self.effects)

    def row(self, effect: Effect) -> Markup:
        """Draw the row of one metric."""
        return row(effect, self.axis)


def panels(effects: Sequence[Effect], axes: Mapping[Scale, EffectAxis] | None = None) -> list[Panel]:
    """Return a panel for each kind of metric that there is; `axes`: those of another forest, to be kept."""
    groups = {kind: tuple(effect for effect in effects if effect.metric.scale == kind) for kind in TITLES}
    known = axes or {}
    return [Panel(kind, rows, known.get(kind) or EffectAxis.around(rows)) for kind, rows in groups.items() if rows]


def row(effect: Effect, axis: EffectAxis) -> Markup:
    """Draw one metric: margin band, zero, bracket of the detectable difference, interval, effect."""
    parts = [_band(effect, axis), *axis.grid(), _line("zero", axis.percent(0.0), "0", "100%")]
    parts += _bracket(effect, axis)
    parts += mark(axis, effect.value, ends(effect), style_of(effect))
    label = f"{effect.metric.name}: {effect_text(effect)} {interval_text(effect)}, {outcome_text(effect)}"
    return lane(HEIGHT, parts, label, class_="effect")


def style_of(effect: Effect) -> str:
    """Return how an effect is drawn: `differs`, `no-different`, or where it is open by what there is to show.

    `too-few` has only a range; `cannot-say` has an interval, and is `clear` if that excludes zero, so that it is open
    only because many metrics were tested.
    """
    if effect.differs:
        return "differs"
    if effect.interval is None or effect.outcome == "no different":
        return effect.outcome.replace(" ", "-")
    return "cannot-say" if effect.interval.holds(0.0) else "cannot-say clear"


def mark(axis: EffectAxis, value: float, interval: Interval | None, style: str) -> list[Markup]:
    """Draw an effect in its interval; what lies beyond the axis becomes an arrow with the number."""
    parts = []
    lowest, highest = value, value
    if interval is not None:
        lowest, highest = interval.low, interval.high
        if axis.position(lowest) < 100 and axis.position(highest) > 0:
            parts.append(_level(f"interval {style}", axis.percent(lowest), axis.percent(highest)))
    parts += _arrows(min(lowest, value), max(highest, value), axis)
    if axis.holds(value):
        return [*parts, element("svg", point(style), x=axis.percent(value), y=MIDDLE, width="1", height="1",
                                overflow="visible")]  # fmt: skip
    right = value > 0
    return [*parts, element("text", with_unit(axis.kind, value), class_="beyond", x="96%" if right else "4%",
                            y=MIDDLE + 4, text_anchor="end" if right else "start")]  # fmt: skip


def _band(effect: Effect, axis: EffectAxis) -> Markup:
    left, right = (axis.position(value) for value in _both_ways(effect, effect.metric.margin))
    return element("rect", class_="margin", x=f"{left:.2f}%", width=f"{right - left:.2f}%", y="0", height="100%")


def _both_ways(effect: Effect, distance: float) -> tuple[float, float]:
    """Return the effects at a distance below and above zero; a ratio by the same factor down as up."""
    return (1 / (1 + distance) - 1 if effect.metric.scale == "ratio" else -distance), distance


def _bracket(effect: Effect, axis: EffectAxis) -> Iterator[Markup]:
    if effect.detectable is None:
        return
    left, right = (axis.percent(value) for value in _both_ways(effect, effect.detectable))
    yield element("line", class_="detectable", x1=left, x2=right, y1=FOOT, y2=FOOT)
    for x in (left, right) if axis.holds(effect.detectable) else ():
        yield element("line", class_="detectable", x1=x, x2=x, y1=FOOT - 4, y2=FOOT)


def _line(kind: str, x: str, top: str, bottom: str) -> Markup:
    return element("line", class_=kind, x1=x, x2=x, y1=top, y2=bottom)


def _level(kind: str, left: str, right: str) -> Markup:
    return element("line", class_=kind, x1=left, x2=right, y1=MIDDLE, y2=MIDDLE)


def _arrows(low: float, high: float, axis: EffectAxis) -> Iterator[Markup]:
    """Draw an arrow at each end of the axis beyond which the row goes on."""
    for beyond, x, path in (
        (low < 0 and not axis.holds(low), "0%", "M0 0 7-4.5V4.5Z"),
        (high > 0 and not axis.holds(high), "100%", "M0 0-7-4.5V4.5Z"),
    ):
        if beyond:
            arrow = element("path", class_="arrow", d=path)
            yield element("svg", arrow, x=x, y=MIDDLE, width="1", height="1", overflow="visible")

"""The axis of effects: zero in its middle, ratios by their logarithm, and bent where effects differ a hundredfold.

A bent axis is linear up to the margin and logarithmic beyond it (the inverse hyperbolic sine of effect / margin), so
that a difference of 1 % can be read beside one of 300 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from harness.comparison.measured.metrics import Scale
from harness.comparison.statistics.effect import Effect
from harness.comparison_page.amounts import FACTORS, UNITS, ends, length_of
from harness.report.svg import element, lane, tick_step
from harness.report.text import MINUS

TITLES: dict[Scale, str] = {"ratio": "second side against the first", "share": "points more", "bits": "bits more"}
FAR = 3.0  # times as far from zero as the next: such a row leaves the axis
KEPT_SHARE = 0.7  # of the rows at least stay whole on the axis
DETECTABLE_SHARE = 1.5  # the axis goes as far as the brackets, but not further than this times the effects
BENT_FROM = 15.0  # margins from zero to the end of the axis: then it is bent
INSET = 46.0  # percent of the width from zero to the end of the axis: a mark there is drawn whole
WIDE_RATIO = math.log(1.8)
CLOSEST, CLOSEST_LINEAR = 7.0, 11.0  # percent of the width between two ticks with a number


@dataclass(frozen=True)
class EffectAxis:
    """An axis from -`half` to `half` in lengths (`amounts.length_of`); `bend`: the length up to which it is linear."""

    kind: Scale
    half: float
    bend: float | None = None

    @classmethod
    def around(cls, effects: Sequence[Effect]) -> EffectAxis:
        """Return an axis that holds every row but those that are far beyond all others."""
        kind = effects[0].metric.scale
        margin = max(length_of(kind, effect.metric.margin) for effect in effects)
        extents = sorted(_extent(effect) for effect in effects)
        kept = _without_outliers(extents, margin)
        if 0 < BENT_FROM * margin < kept:
            return cls(kind, extents[-1], margin)
        seen = max((length_of(kind, effect.detectable or 0.0) for effect in effects), default=0.0)
        kept = max(kept, 1.2 * margin) or 1.0
        return cls(kind, max(kept, min(seen, DETECTABLE_SHARE * kept)))

    @classmethod
    def holding(cls, kind: Scale, values: Iterable[float], margin: float) -> EffectAxis:
        """Return an axis that holds all of these values."""
        half = max((abs(length_of(kind, value)) for value in values if math.isfinite(value)), default=0.0)
        half, bend = max(half, margin), length_of(kind, margin)
        return cls(kind, half, bend if half > BENT_FROM * bend else None)

    def holds(self, value: float) -> bool:
        """Return whether an effect lies on the axis."""
        return abs(length_of(self.kind, value)) <= self.half * (1 + 1e-9)

    def position(self, value: float) -> float:
        """Return where an effect lies, in percent of the width, clamped to it."""
        share = self._bent(length_of(self.kind, value)) / self._bent(self.half)
        return min(max(50 + INSET * share, 0.0), 100.0)

    def percent(self, value: float) -> str:
        """Return the position as an SVG length."""
        return f"{self.position(value):.2f}%"

    def _bent(self, length: float) -> float:
        return length if self.bend is None else math.asinh(length / self.bend)

    def ticks(self) -> list[float]:
        """Return round effects on the axis, with zero among them."""
        return sorted(value for value in {0.0, *self._candidates()} if self.holds(value))

    def _candidates(self) -> Iterator[float]:
        if self.bend is not None:
            yield from self._bent_ticks()
        elif self.kind == "ratio" and self.half > WIDE_RATIO:  # powers of two lie evenly
            power = max(1, round(self.half / math.log(2) / 2.5))
            yield from (2.0 ** (power * index) - 1 for index in range(-3, 4))
        else:
            low, high = -self.half, self.half
            step = tick_step(math.expm1(low), math.expm1(high), 4) if self.kind == "ratio" else tick_step(low, high, 4)
            yield from (index * step for index in range(-6, 7))

    def _bent_ticks(self) -> Iterator[float]:
        decades = [10.0**power for power in range(-4, 5) if 10.0**power >= 0.99 * (self.bend or 0.0)]
        if self.kind != "ratio":
            yield from (sign * decade for decade in decades for sign in (-1, 1))
            return
        yield from (sign * decade for decade in decades if decade < 0.5 for sign in (-1, 1))
        yield from (factor - 1 for times in (2.0, 10.0, 100.0, 1e3, 1e4) for factor in (times, 1 / times))

    def grid(self) -> list[Markup]:
        """Return vertical lines at the ticks, as high as the lane."""
        positions = (self.percent(value) for value in self.ticks() if value)
        return [element("line", class_="grid", x1=x, x2=x, y1="0", y2="100%") for x in positions]

    def draw(self) -> Markup:
        """Draw the row under a figure: ticks, their values, and what they are."""
        parts: list[Markup] = []
        numbered = self._numbered()
        for value in self.ticks():
            x = self.percent(value)
            parts.append(element("line", class_="tick", x1=x, x2=x, y1="0", y2="4"))
            if value in numbered:
                parts.append(element("text", self.text(value), class_="tick", x=x, y="16", text_anchor="middle"))
        bent = "" if self.bend is None else f", logarithmic beyond ±{self._linear_up_to()}"
        parts.append(element("text", TITLES[self.kind] + bent, class_="axis", x="50%", y="33", text_anchor="middle"))
        return lane(40, parts, class_="axis")

    def _linear_up_to(self) -> str:
        value = math.expm1(self.bend or 0.0) if self.kind == "ratio" else self.bend or 0.0
        return f"{FACTORS[self.kind] * value:.3g}{UNITS[self.kind]}"

    def _numbered(self) -> set[float]:
        """Return the ticks that have a number: from zero outwards, those that do not touch the one before."""
        found = {0.0}
        for sign in (-1, 1):
            last = 0.0
            for value in sorted((value for value in self.ticks() if value * sign > 0), key=abs):
                if abs(self.position(value) - self.position(last)) >= (CLOSEST if self.bend else CLOSEST_LINEAR):
                    found.add(value)
                    last = value
        return found

    def text(self, value: float) -> str:
        """Format a tick, with no more digits than it needs; ratios from half and double on as factors."""
        if value == 0:
            return "0"
        if self.kind == "ratio" and (self.bend or self.half > WIDE_RATIO) and not -0.5 < value < 1:
            return f"×{1 + value:.3g}"  # noqa: RUF001 - the sign of a factor
        shown = f"{FACTORS[self.kind] * value:+.6f}".rstrip("0").rstrip(".").replace("-", MINUS)
        return shown + UNITS["ratio"] * (self.kind == "ratio")


def _without_outliers(extents: Sequence[float], margin: float) -> float:
    """Return the extent of the rows that are kept; `extents` are sorted."""
    for index, (extent, following) in enumerate(pairwise(extents), start=1):
        if index >= KEPT_SHARE * len(extents) and following > FAR * max(extent, margin):
            return extent
    return extents[-1]


def _extent(effect: Effect) -> float:
    interval = ends(effect)
    values = (effect.value, interval.low, interval.high)
    return max(abs(length_of(effect.metric.scale, value)) for value in values if not math.isnan(value))

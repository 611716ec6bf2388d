"""Building blocks of inline SVG: escaped elements, linear and logarithmic scales, ticks.

Horizontal positions are percentages and vertical ones pixels, so that a figure follows the width of the page while
its text keeps its size. Nothing here uses a `style` attribute: the page's content security policy forbids them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from harness.report.text import duration
from harness.visible import visible


def element(tag: str, *children: str | Markup, **attributes: Any) -> Markup:
    """Return `<tag ...>children</tag>`; texts are escaped, `class_` and `a_b` become `class` and `a-b`."""
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(child if isinstance(child, Markup) else visible(child) for child in children)
    return Markup(f"<{tag}{named}>{inner}</{tag}>")


def _value(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else visible(value)


def lane(height: int, children: Iterable[Markup], label: str | None = None, **attributes: Any) -> Markup:
    """Return one row of a figure, as wide as its cell and `height` pixels high; decorative unless it has a label."""
    known: dict[str, Any] = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    kind = attributes.pop("class_", "")
    return element("svg", *children, class_=f"lane {kind}".strip(), height=height, **known, **attributes)


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to 0..100 percent, by logarithm where `log` is set (then low > 0)."""

    low: float
    high: float
    log: bool = False

    def position(self, value: float) -> float:
        """Return the position of `value` in percent, clamped to the figure."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / ((self.high - self.low) or 1.0)
        return 100.0 * min(max(share, 0.0), 1.0)

    def percent(self, value: float) -> str:
        """Return the position as an SVG length."""
        return f"{self.position(value):.2f}%"


def nice_scale(values: Sequence[float], *, floor: float | None = None, ceiling: float | None = None) -> Scale:
    """Return a linear scale around `values` with round ends, not beyond `floor` and `ceiling`."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    step = tick_step(low, high if high > low else low + 1.0)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    low = max(low, floor) if floor is not None else low
    high = min(high, ceiling) if ceiling is not None else high
    return Scale(low, high if high > low else low + step)


def tick_step(low: float, high: float, wanted: int = 5) -> float:
    """Return a step of 1, 2, 5 or 10 times a power of ten that gives about `wanted` ticks."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    return min((1, 2, 5, 10), key=lambda factor: abs(factor * power - raw)) * power


def ticks(scale: Scale, wanted: int = 5) -> list[float]:
    """Return round values inside the scale; powers of ten for a logarithmic one."""
    if scale.log:
        first, last = math.ceil(math.log10(scale.low) - 1e-9), math.floor(math.log10(scale.high) + 1e-9)
        return [10.0**power for power in range(first, last + 1)]
    step = tick_step(scale.low, scale.high, wanted)
    first, last = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def grid(scale: Scale, wanted: int = 5) -> list[Markup]:
    """Return vertical lines at the ticks, as high as the lane, so that those of stacked lanes join."""
    return [
        element("line", class_="grid", x1=x, x2=x, y1="0", y2="100%")
        for x in (scale.percent(value) for value in ticks(scale, wanted))
    ]


def axis(scale: Scale, label: str, text: Any, wanted: int = 5) -> Markup:
    """Return the row under a figure: tick marks, their values as `text(value)`, and the label of the axis."""
    parts, values = [], ticks(scale, wanted)
    every = 2 if len(values) > 4 else 1  # the last is moved inwards: five would touch in a narrow column
    for index, value in enumerate(values):
        position, x = scale.position(value), scale.percent(value)
        anchor = "start" if position < 4 else "end" if position > 96 else "middle"
        parts.append(element("line", class_="tick", x1=x, x2=x, y1="0", y2="4"))
        if index % every == 0:
            parts.append(element("text", text(value), class_="tick", x=x, y="16", text_anchor=anchor))
    parts.append(element("text", label, class_="axis", x="50%", y="33", text_anchor="middle"))
    return lane(40, parts, class_="axis")


def time_tick(ns: float) -> str:
    """Return the text of a tick of a time axis, which is a power of ten: 10 µs."""
    return duration(ns).replace(".00", "").replace(".0", "")

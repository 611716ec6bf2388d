"""Draws whole distributions of both sides: ECDFs with their bands, and by how much each quantile shifts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from harness.comparison.measured.units import MARGIN
from harness.comparison_page.amounts import change, digits_for, with_unit
from harness.comparison_page.effect_axis import EffectAxis
from harness.comparison_page.forest import mark
from harness.report.svg import Scale, element, lane, time_tick

if TYPE_CHECKING:
    from harness.comparison.distribution import Curve, Distribution, QuantileShift

HEIGHT = 210
GUTTER = 10  # percent of the width, for the numbers of the vertical axis
TOP, BOTTOM = 8, 170  # pixels, of 100 % and of 0
ROW = 26
FEW_DECADES = 4
STEPS = 300  # points of a curve at most: more cannot be seen


def ecdf(distribution: Distribution) -> Markup:
    """Draw the share of slices or wakeups up to each duration, on a logarithmic axis: both sides with their bands."""
    across = Scale(*_seen(distribution), log=True)
    parts = list(_levels())
    parts += [_vertical(across, value) for value in time_ticks(across)]
    curves = (("first", distribution.first), ("second", distribution.second))
    bands = [_band(kind, distribution.grid, curve, across) for kind, curve in curves]
    lines = [_line(kind, distribution.grid, curve, across) for kind, curve in curves]
    parts.append(element("svg", *bands, *lines, x=f"{GUTTER}%", y=TOP, width=f"{100 - GUTTER}%", height=BOTTOM - TOP,
                         viewBox="0 0 100 1", preserveAspectRatio="none"))  # fmt: skip
    foot = element("svg", *_foot(across, distribution.name), x=f"{GUTTER}%", y=BOTTOM,
                   width=f"{100 - GUTTER}%", height="40")  # fmt: skip
    label = f"{distribution.name}: share of all up to each duration, both sides"
    return lane(HEIGHT, [*parts, foot], label, class_="ecdf")


def time_ticks(across: Scale) -> list[float]:
    """Return round durations in ns: one, two and five times powers of ten, or the powers alone where there are many."""
    powers = range(math.floor(math.log10(across.low)), math.ceil(math.log10(across.high)) + 1)
    factors = (1, 2, 5) if len(powers) <= FEW_DECADES else (1,)
    values = [factor * 10.0**power for power in powers for factor in factors]
    return [value for value in values if across.low <= value <= across.high]


def _foot(across: Scale, name: str) -> Iterable[Markup]:
    for value in time_ticks(across):
        x, position = across.percent(value), across.position(value)
        anchor = "start" if position < 3 else "end" if position > 97 else "middle"
        yield element("line", class_="tick", x1=x, x2=x, y1="0", y2="4")
        yield element("text", time_tick(value), class_="tick", x=x, y="16", text_anchor=anchor)
    yield element("text", name, class_="axis", x="50%", y="33", text_anchor="middle")


def _seen(distribution: Distribution) -> tuple[float, float]:
    """Return the part of the grid where either curve rises, in whole decades where it is wide."""
    grid = np.asarray(distribution.grid, dtype=float)
    means = [np.asarray(curve.mean, dtype=float) for curve in (distribution.first, distribution.second)]
    rising = (np.maximum(*means) > 0.001) & (np.minimum(*means) < 0.999)
    inside = np.flatnonzero(rising)
    first, last = (inside[0], inside[-1]) if inside.size else (0, len(grid) - 1)
    low, high = grid[max(first - 1, 0)], grid[min(last + 1, len(grid) - 1)]
    return (float(low), float(high)) if high > low else (float(grid[0]), float(grid[-1]))


def _levels() -> Iterable[Markup]:
    for share in (0, 25, 50, 75, 100):
        y = BOTTOM - (BOTTOM - TOP) * share / 100
        yield element("line", class_="grid", x1=f"{GUTTER}%", x2="100%", y1=y, y2=y)
        text = f"{share}\u202f%" if share == 100 else str(share)
        yield element("text", text, class_="tick", x=f"{GUTTER - 0.8}%", y=y + 4, text_anchor="end")


def _vertical(across: Scale, value: float) -> Markup:
    x = f"{GUTTER + (100 - GUTTER) * across.position(value) / 100:.2f}%"
    return element("line", class_="grid", x1=x, x2=x, y1=TOP, y2=BOTTOM)


def _line(kind: str, grid: np.ndarray, curve: Curve, across: Scale) -> Markup:
    path = _path(_points(grid, curve.mean, across))
    return element("path", class_=f"side {kind}", d=path)


def _band(kind: str, grid: np.ndarray, curve: Curve, across: Scale) -> Markup:
    upper, lower = _points(grid, curve.high, across), _points(grid, curve.low, across)
    return element("path", class_=f"band {kind}", d=f"{_path(upper)}L{_path(lower[::-1])[1:]}Z")


def _points(grid: np.ndarray, heights: np.ndarray, across: Scale) -> list[tuple[float, float]]:
    inside = np.flatnonzero((grid >= across.low) & (grid <= across.high))
    chosen = inside[np.unique(np.linspace(0, len(inside) - 1, min(len(inside), STEPS)).astype(int))]
    return [(across.position(float(grid[index])), 1 - float(heights[index])) for index in chosen]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.4f}" for x, y in points)


def shift_axis(shifts: Sequence[QuantileShift]) -> EffectAxis:
    """Return an axis around zero that holds all shifts and their intervals."""
    ends = [end for shift in shifts if shift.interval for end in (shift.interval.low, shift.interval.high)]
    return EffectAxis.holding("ratio", [*(shift.value for shift in shifts), *ends], MARGIN)


def shift_row(shift: QuantileShift, axis: EffectAxis) -> Markup:
    """Draw by how much one quantile of the second side is longer than that of the first."""
    zero = axis.percent(0.0)
    parts = [*axis.grid(), element("line", class_="zero", x1=zero, x2=zero, y1="0", y2="100%")]
    parts += mark(axis, shift.value, shift.interval, _style(shift))
    return lane(ROW, parts, f"{quantile(shift.q)}: {shift_text(shift)}", class_="effect")


def shift_text(shift: QuantileShift) -> str:
    """Format a shift with its interval."""
    ends = (shift.interval.low, shift.interval.high) if shift.interval else ()
    digits = digits_for("ratio", shift.value, *ends)
    text = with_unit("ratio", shift.value, digits)
    return f"{text} [{', '.join(change('ratio', end, digits) for end in ends)}]" if ends else text


def quantile(q: float) -> str:
    """Name a quantile: p50, p99.9."""
    return "median" if q == 0.5 else f"p{100 * q:g}"


def curve_rows(distribution: Distribution) -> list[list[object]]:
    """Return both curves and their bands as rows of a CSV file, the first of them names the columns."""
    head: list[object] = [
        "up_to_ns",
        *(f"{side}{end}" for side in ("first", "second") for end in ("", "_low", "_high")),
    ]
    columns = [
        distribution.grid, *(values for curve in (distribution.first, distribution.second)
                             for values in (curve.mean, curve.low, curve.high)),
    ]  # fmt: skip
    rows: list[list[object]] = [[float(f"{value:.6g}") for value in row] for row in zip(*columns, strict=True)]
    return [head, *rows]


def _style(shift: QuantileShift) -> str:
    """Return how a shift is drawn: a diamond where its interval excludes zero."""
    if shift.interval is None:
        return "too-few"
    return "cannot-say" if shift.interval.holds(0.0) else "differs"


def largest_gap(distribution: Distribution) -> float:
    """Return the largest vertical distance of the two curves, as a share (Kolmogorov's distance of the means)."""
    return float(np.max(np.abs(np.asarray(distribution.first.mean) - np.asarray(distribution.second.mean))))

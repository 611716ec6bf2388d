"""The distributions of two sides as a figure for a notebook: an SVG that needs no style sheet and no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from harness.report.svg import Scale, element, ticks, time_tick

if TYPE_CHECKING:
    from harness.comparison.distribution import Curve, Distribution

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 250, 44, 26, 40
COLOURS = ("#0072b2", "#d55e00")  # apart for the colour-blind, too; the second side is also dashed
DASHES = (None, "6 3")


def figure(distribution: Distribution, labels: Sequence[str]) -> Markup:
    """Return the ECDF of both sides with their bands, over a logarithmic axis of time."""
    scale = Scale(float(distribution.grid[0]), float(distribution.grid[-1]), log=True)
    x = np.array([_x(scale, value) for value in distribution.grid.tolist()])
    parts = [*_axes(scale, distribution.name), *_legend(labels)]
    for curve, colour, dashes in zip((distribution.first, distribution.second), COLOURS, DASHES, strict=True):
        parts += _side(x, curve, colour, dashes)
    words = f"Share of the {distribution.name}s up to a length, of {labels[0]} and {labels[1]}"
    size = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "width": str(WIDTH), "font_size": "11", "font_family": "sans-serif"}
    return element("svg", *parts, xmlns="http://www.w3.org/2000/svg", role="img", aria_label=words, **size)


def _side(x: np.ndarray, curve: Curve, colour: str, dashes: str | None) -> Iterator[Markup]:
    ends = [*_points(x, curve.low), *reversed(list(_points(x, curve.high)))]
    yield element("polygon", points=" ".join(ends), fill=colour, fill_opacity="0.2")
    line = {"stroke": colour, "stroke_width": "1.5", "stroke_dasharray": dashes}
    yield element("polyline", points=" ".join(_points(x, curve.mean)), fill="none", **line)


def _points(x: np.ndarray, shares: np.ndarray) -> Iterator[str]:
    for place, share in zip(x.tolist(), shares.tolist(), strict=True):
        yield f"{place:.1f},{_y(share):.1f}"


def _axes(scale: Scale, name: str) -> Iterator[Markup]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = f"{_y(share):.1f}"
        yield element("line", x1=str(LEFT), x2=str(WIDTH), y1=y, y2=y, stroke="currentColor", stroke_opacity="0.15")
        yield _label(f"{share:.0%}", str(LEFT - 6), f"{_y(share) + 4:.1f}", "end")
    for value in ticks(scale):
        x = f"{_x(scale, value):.1f}"
        ends = {"x1": x, "x2": x, "y1": str(TOP), "y2": str(HEIGHT - BOTTOM + 4)}
        yield element("line", **ends, stroke="currentColor", stroke_opacity="0.15")
        yield _label(time_tick(value), x, str(HEIGHT - BOTTOM + 18), "middle")
    yield _label(name, str((LEFT + WIDTH) // 2), str(HEIGHT - 6), "middle")


def _legend(labels: Sequence[str]) -> Iterator[Markup]:
    for index, (label, colour, dashes) in enumerate(zip(labels, COLOURS, DASHES, strict=True)):
        x = LEFT + index * (WIDTH - LEFT) // 2
        line = {"stroke": colour, "stroke_width": "2", "stroke_dasharray": dashes}
        yield element("line", x1=str(x), x2=str(x + 26), y1="10", y2="10", **line)
        yield _label(label, str(x + 32), "14", "start")


def _label(text: str, x: str, y: str, anchor: str) -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor, fill="currentColor")


def _x(scale: Scale, value: float) -> float:
    return LEFT + (WIDTH - LEFT - 8) * scale.position(value) / 100


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share

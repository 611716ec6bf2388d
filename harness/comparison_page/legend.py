"""Draws the marks that the figures use, small, for the lines that explain them."""

from __future__ import annotations

from markupsafe import Markup

from harness.report.svg import element

WIDTH, HEIGHT = 22, 14
MIDDLE = HEIGHT / 2


def sample(kind: str) -> Markup:
    """Draw one mark: an outcome of a forest, `margin`, `detectable`, a `dot ...`, a `side ...`, `lost`, `apart ...`."""
    return element(
        "svg", *_parts(kind), class_="sample", width=str(WIDTH), height=str(HEIGHT), aria_hidden="true",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
    )  # fmt: skip


def _parts(kind: str) -> list[Markup]:
    if kind in ("margin", "lost"):
        return [element("rect", class_=kind, x="1", y="0", width=str(WIDTH - 2), height=str(HEIGHT))]
    if kind == "detectable":
        return [element("path", class_=kind, d=f"M2 3V{MIDDLE + 1}H{WIDTH - 2}V3")]
    if kind.startswith("dot"):
        path = f"M{WIDTH / 2} {MIDDLE}h.001"
        hollow = "first" in kind or "late" in kind
        return [element("path", class_=shape, d=path) for shape in (kind, f"{kind} inner")[: 1 + hollow]]
    if kind.startswith("side"):
        return [element("path", class_=kind, d=f"M1 {MIDDLE}H{WIDTH - 1}")]
    if kind.startswith("apart"):
        return [element("path", class_=kind, d=f"M{WIDTH / 2} 0V{HEIGHT}")]
    return [
        element("line", class_=f"interval {kind}", x1="1", x2=str(WIDTH - 1), y1=str(MIDDLE), y2=str(MIDDLE)),
        element("svg", point(kind), x=str(WIDTH / 2), y=str(MIDDLE), width="1", height="1", overflow="visible"),
    ]


def point(style: str) -> Markup:
    """Draw a diamond for a difference, a square for none, and a small circle where nothing can be said."""
    if style == "differs":
        return element("path", class_="mark differs", d="M0-6.5 6.5 0 0 6.5-6.5 0Z")
    if style == "no-different":
        return element("path", class_="mark no-different", d="M-4-4H4V4H-4Z")
    return element("circle", class_=f"mark {style}", r="4")

"""A comparison in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from harness.comparison.effect import Effect


def of(second: str, effects: Sequence[Effect], primary: str | None, *, interleaved: bool) -> str:
    """Say what the second side has more or less of than the first: the main metric first."""
    if not effects:
        return "the two sides have no metric in common"
    main = next((effect for effect in effects if effect.metric.name == primary), effects[0])
    return f"{second}: {main.metric.name} {amount(main)}"


def amount(effect: Effect) -> str:
    """Return an effect with its unit and its interval: `+3.1 % [1.9, 4.3]`; without one, with its range."""
    factor, unit = {"ratio": (100, "%"), "share": (100, "points"), "bits": (1, "bits")}[effect.metric.scale]
    ends = (effect.interval.low, effect.interval.high) if effect.interval else effect.range
    low, high = (f"{end * factor:.1f}" for end in ends)
    spread = f"[{low}, {high}]" if effect.interval else f"({low} to {high} in {len(effect.blocks)} blocks)"
    return f"{effect.value * factor:+.1f} {unit} {spread}"

"""Turns values into text: units and rounding."""

from __future__ import annotations

import re
import sys
from typing import Any

from harness.visible import visible

_HYPHEN_AS_MINUS = re.compile(r"(?<=[\[( ])-(?=\d)")
NO_VALUE = "–"  # noqa: RUF001 - an en dash is what a table shows for "none"
MINUS = "\u2212"  # as wide as the plus sign


def number(value: Any) -> float | None:
    """Return `value` as a finite float, or None where it is missing, not a number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None  # an int may be too large for a float


def count(value: float | None) -> str:
    """Format a whole number with thin spaces between thousands: 145 607."""
    return NO_VALUE if value is None else f"{round(value):,}".replace(",", "\u202f")


def percent(value: float | None, digits: int = 1) -> str:
    """Format a share as percent; a saving may be negative."""
    return NO_VALUE if value is None else f"{100 * value:.{digits}f}\u202f%".replace("-", MINUS)


def percent_range(low: float | None, high: float | None, digits: int = 1) -> str:
    """Format an interval of shares: 76.2 to 79.8 %; empty where there is none."""
    return (
        "" if low is None or high is None else f"{100 * low:.{digits}f} to ".replace("-", MINUS) + percent(high, digits)
    )


def points(difference: float) -> str:
    """Format a difference between shares in percentage points: +2.6."""
    return f"{100 * difference:+.1f}".replace("-", MINUS)


def points_range(interval: tuple[float, float] | None) -> str:
    """Format an interval of such differences: +2.3 to +2.8; empty where there is none."""
    return "" if interval is None else " to ".join(map(points, interval))


def fixed(value: float | None, digits: int = 3) -> str:
    """Format a number with `digits` digits after the point."""
    return NO_VALUE if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def plain(value: Any) -> str:
    """Format any scalar of a check or a metric: whole and large numbers grouped, others to four digits."""
    if value is None or value == "":
        return NO_VALUE
    if isinstance(value, bool):
        return "yes" if value else "no"
    as_number = number(value)
    if as_number is None:
        return visible(value)
    return count(as_number) if as_number == round(as_number) or abs(as_number) >= 9999.5 else f"{as_number:.4g}"


def duration(ns: float | None) -> str:
    """Format nanoseconds to three significant digits in the unit that reads best: 840 ns, 12.3 µs, 1.25 ms."""
    if ns is None:
        return NO_VALUE
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if abs(ns) >= size * 0.9995:
            return f"{_three_digits(ns / size)}\u202f{unit}"
    return f"{round(ns)}\u202fns"


def seconds(value: float | None) -> str:
    """Format a cost in seconds: 0.42 s, 38.5 s, 4 min 05 s."""
    if value is None:
        return NO_VALUE
    if value < 120:
        return f"{value:.2f}\u202fs" if value < 10 else f"{value:.1f}\u202fs"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}\u202fmin {rest:02d}\u202fs"


def time_of_day(when: Any) -> str:
    """Format a time of a run folder to the minute: 2026-11-29 22:04 UTC."""
    return f"{visible(when)[:16].replace('T', ' ')} UTC"


def _three_digits(value: float) -> str:
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f}"


def typeset(words: str) -> str:
    """Return a sentence with a minus before negative numbers, and percent signs on the lines of their numbers."""
    return _HYPHEN_AS_MINUS.sub(MINUS, words).replace(" %", "\u202f%")

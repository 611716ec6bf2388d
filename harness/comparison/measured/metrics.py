"""The metrics that are compared: the scale of each, its unit, and the difference that is too small to matter."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.comparison.measured.units import MARGIN, UNITS, Unit, UnitName
from harness.errors import UsageError

Scale = Literal["ratio", "share", "bits"]
BY_KERNEL = "guest "  # begins what the guest's kernel counted, which a trial without a tracer has, too
SWITCHES = ("switches/s", f"{BY_KERNEL}switches/s")
LOWER_IS_BETTER = ("host share", "tracer share")
SCALES: dict[str, Scale] = {"share": "share", "bits": "bits"}  # of units; all others are compared by ratios


@dataclass(frozen=True)
class Metric:
    """What is compared.

    `scale`: a ratio is compared by its logarithm and said in percent of the first side; shares and bits by their
    difference. `better` is None where neither is. `margin`: a smaller difference is of no practical importance, on the
    scale of `Effect.value`. `scored`: it is a predictor's score, and no metric of the recording.
    """

    name: str
    scale: Scale
    unit: Unit
    better: Literal["higher", "lower"] | None
    margin: float
    scored: bool


def metric(name: str, margin: float | None = None) -> Metric:
    """Return the metric that an observation calls `name`; `margin` is a share of 1 (0.01 is 1 %), points, or bits."""
    unit = unit_of(name)
    limit = MARGIN if margin is None else margin
    return Metric(name, SCALES.get(unit, "ratio"), UNITS[unit], _better(name), limit, scored=is_score(name))


def unit_of(name: str) -> UnitName:
    """Return the key in `UNITS` of the unit of a metric."""
    if name.endswith(": bits/switch"):
        return "bits"
    if is_score(name) or name.endswith(" share"):
        return "share"
    if name.endswith("/s"):
        return "rate"
    return "ms" if name.endswith("latency") else "us"


def _better(name: str) -> Literal["higher", "lower"] | None:
    if is_score(name):
        return "lower" if unit_of(name) == "bits" else "higher"
    if name.endswith("/s"):
        return "higher" if is_of_load(name) else None
    return "lower" if name in LOWER_IS_BETTER or "latency" in name else None


def primary(names: Iterable[str]) -> str:
    """Return the metric that a comparison is about if nothing is said: the load's first rate, else switches/s.

    Of sides of which one has no trace, those are switches/s as the guest's kernel counted them.
    """
    known = list(names)
    switches = next((name for name in SWITCHES if name in known), SWITCHES[0])
    return next((name for name in known if name.endswith("/s") and is_of_load(name)), switches)


def without_doubles(names: Iterable[str]) -> list[str]:
    """Leave out what the guest's kernel counted where both sides have the same from their traces."""
    known = list(names)
    return [name for name in known if not (name.startswith(BY_KERNEL) and name.removeprefix(BY_KERNEL) in known)]


def is_score(name: str) -> bool:
    """Return whether a metric is the score of a predictor, such as `lstm: accuracy`."""
    return ": " in name


def is_of_load(name: str) -> bool:
    """Return whether a metric is a rate or a latency of the load, such as `web requests/s` and `p99 latency`."""
    return name.endswith(("/s", " latency")) and name not in SWITCHES and not name.startswith(BY_KERNEL)


def is_of_slices(name: str) -> bool:
    """Return whether a metric is read from the table of slices."""
    return name.startswith(("slice ", "wakeup "))


def chosen(names: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the names that are wanted, each by its whole name or its beginning; all without a wish.

    Raises UsageError for one that is the beginning of no name.
    """
    known = list(dict.fromkeys(names))
    if not wanted:
        return known
    found: dict[str, None] = {}
    for beginning in wanted:
        matching = [name for name in known if name == beginning] or [n for n in known if n.startswith(beginning)]
        if not matching:
            near = difflib.get_close_matches(beginning, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else None
            raise UsageError(f"no metric {beginning!r}", expected=f"one of: {', '.join(known)}", hint=hint)
        found |= dict.fromkeys(matching)
    return list(found)

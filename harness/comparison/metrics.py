"""The metrics that are compared: the scale of each, its unit, and the difference that is too small to matter."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from harness.comparison.effect import Metric
from harness.comparison.measurement import UNITS
from harness.errors import UsageError

MARGIN = 0.01  # 1 %, a point of a share, or a hundredth of a bit
BY_KERNEL = "guest "  # begins what the guest's kernel counted, which a trial without a tracer has, too
SWITCHES = ("switches/s", f"{BY_KERNEL}switches/s")
LOWER_IS_BETTER = ("host share", "tracer share")


def metric(name: str, margin: float | None = None) -> Metric:
    """Return the metric that an observation calls `name`; `margin` is a share of 1 (0.01 is 1 %), points, or bits."""
    predictor, _, score = name.rpartition(": ")
    limit = MARGIN if margin is None else margin
    if score == "bits/switch":
        return Metric(name, "bits", UNITS["bits"], "lower", limit, scored=True)
    if predictor:
        return Metric(name, "share", UNITS["share"], "higher", limit, scored=True)
    if name.endswith(" share"):
        return Metric(name, "share", UNITS["share"], "lower" if name in LOWER_IS_BETTER else None, limit, scored=False)
    if name.endswith("/s"):
        return Metric(name, "ratio", UNITS["rate"], None if name in SWITCHES else "higher", limit, scored=False)
    unit = UNITS["ms" if name.endswith("latency") else "us"]
    return Metric(name, "ratio", unit, "lower" if "latency" in name else None, limit, scored=False)


def primary(names: Iterable[str]) -> str:
    """Return the metric that a comparison is about if nothing is said: the load's first rate, else switches/s.

    Of sides of which one has no trace, those are switches/s as the guest's kernel counted them.
    """
    known = list(names)
    switches = next((name for name in SWITCHES if name in known), SWITCHES[0])
    return next((name for name in known if name.endswith("/s") and name not in SWITCHES), switches)


def without_doubles(names: Iterable[str]) -> list[str]:
    """Leave out what the guest's kernel counted where both sides have the same from their traces."""
    known = list(names)
    return [name for name in known if not (name.startswith(BY_KERNEL) and name.removeprefix(BY_KERNEL) in known)]


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

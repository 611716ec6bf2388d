"""Which trials of a run differ from the others of their arm, and how far its trials lie apart, as lines of text.

The lines are made from contents of trial.json. A value that is damaged there is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.load_results import metrics_of
from harness.noise.odd_trials import odd_trials, spreads
from harness.recorded_clock import RecordedClock
from harness.report.text import number
from harness.visible import visible

Record = Mapping[str, Any]


def odd_lines(records: Sequence[Record]) -> dict[str, list[str]]:
    """Return, by the name of a trial that differs from its arm's others, one line for each metric in which it does."""
    lines: dict[str, list[str]] = {}
    for odd in odd_trials(_usable(records)):
        lines.setdefault(visible(odd.trial), []).append(visible(odd.text))
    return lines


def spread_lines(records: Sequence[Record]) -> list[str]:
    """Return one line for each metric whose values lie far apart across the trials of an arm."""
    return [visible(spread.text) for spread in spreads(_usable(records))]


def _usable(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [_readable(record) for record in records if _mapping(record, "verdict").get("ok") is True]


def _readable(record: Record) -> dict[str, Any]:
    """Return what is compared, without any value that is not of the type that is expected."""
    clock = RecordedClock.of(_mapping(record, "machine"))
    readable: dict[str, Any] = {"name": str(record.get("name", "")), "arm": str(record.get("arm", ""))}
    readable["machine"] = {"clock": clock.kind, "cpu_speed": clock.cpu_speed}
    for name in ("switches", "contested_share"):
        readable[name] = number(record.get(name))
    readable["metrics"] = metrics_of(record)
    for name in ("quality", "noise"):
        values = _mapping(record, name)
        readable[name] = {key: known for key, value in values.items() if (known := number(value)) is not None}
    return readable


def _mapping(record: Record, name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}

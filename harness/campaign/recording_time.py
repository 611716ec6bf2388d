"""How long a campaign has been recording, over all processes that carried it out, from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

STEPS = ("trial:", "up:", "down:", "calm:")  # not what prepares a machine once, trains or reports


def hours(events: Iterable[Mapping[str, Any]]) -> float:
    """Return the hours that trials, boots and waits for calm took, each from its beginning to its end.

    A step that a killed process began has no end, and counts as nothing.
    """
    began: dict[str, datetime] = {}
    seconds = 0.0
    for event in events:
        step, kind = str(event.get("step", "")), event["kind"]
        if not step.startswith(STEPS):
            continue
        if kind == "begin":
            began[step] = _time(event)
        elif kind in ("finish", "fail") and step in began:
            seconds += max(0.0, (_time(event) - began.pop(step)).total_seconds())
    return seconds / 3600


def _time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(event["time"]).replace("Z", "+00:00"))

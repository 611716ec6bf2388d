"""The blocks of a campaign in words: its boots, the rule of an open number of blocks, and what ended it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.counted import counted
from harness.store import block_record

BOOTS = {"every block": "a new boot for every block", "never": "no boot without need"}


def percent(width: float) -> str:
    """Format a relative width, such as `2 %` or `1.83 %`."""
    return f"{100 * width:.3g} %"


def until(rule: Mapping[str, Any]) -> str:
    """Say what ends a campaign of `trials.blocks: auto`."""
    metric = rule.get("metric") or "the load's first rate, or else of switches/s,"
    width = f"the 95 % interval of {metric} of every arm against the first is {percent(rule['width'])} wide or less"
    hours = f"{rule['max_hours']:g} h of recording are over"
    return f"{width}, or {hours}; after {counted(int(rule['minimum']), 'block')} at least, 1,000 at most"


def ended(record: Mapping[str, Any]) -> str | None:
    """Say what ended a campaign of `trials.blocks: auto`; None if it goes on."""
    by, rule, last = record.get("ended_by"), record["rule"], (record.get("history") or [{}])[-1]
    known = "is not known" if last.get("width") is None else f"is {percent(last['width'])} wide"
    reached = f"the interval of {rule.get('metric') or 'the first rate'} {known}"
    wanted = f"{percent(rule['width'])} was asked for"
    reasons = {
        block_record.WIDTH: f"ended because {reached}, and {wanted}",
        block_record.MAX_HOURS: f"ended after {rule['max_hours']:g} h of recording: {reached}, and {wanted}",
        block_record.NONE_COMPLETE: f"ended because each of {counted(record['planned'], 'block')} lost a trial",
        block_record.MAX_BLOCKS: f"ended at the largest number of blocks: {reached}, and {wanted}",
    }
    return reasons.get(by) if by else None

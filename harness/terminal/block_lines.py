"""The blocks of a campaign as lines for a terminal: what is planned, what ended it. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.counted import counted
from harness.store import block_record
from harness.terminal.line import line
from harness.terminal.progress import spell_seconds

if TYPE_CHECKING:
    from harness.spec import Experiment

BOOTS = {"every block": "a new boot for every block", "never": "no boot without need"}


def plan_lines(experiment: Experiment, record: Mapping[str, Any] | None = None) -> list[Text]:
    """Show how the arms are compared, of a run with this `record` of its blocks; nothing where there is one arm."""
    from harness import plan

    arms = plan.arms(experiment)
    if len(arms) == 1:
        return []
    takes = spell_seconds(plan.block_s(experiment))
    record = record or block_record.new(experiment)
    number = f"{record['planned']} or more" if record["rule"] and not record["ended_by"] else str(record["planned"])
    order = f"drawn with the seed {experiment.trials.seed}" if experiment.trials.order == "blocks" else "as listed"
    lines = [f"blocks: {number}, each {len(arms)} arms in an order {order}; {BOOTS[experiment.reboot]}; {takes} each"]
    if record["rule"]:
        lines.append(ended(record) or f"until {until(record['rule'])}")
    lines += [f"null arm: {arm.name} is {arm.null_of} again" for arm in arms if arm.null_of]
    return [line(text) for text in lines]


def percent(width: float) -> str:
    """Format a relative width, such as `2 %` or `1.83 %`."""
    return f"{100 * width:.3g} %"


def until(rule: Mapping[str, Any]) -> str:
    """Say what ends a campaign of `trials.blocks: auto`."""
    metric = rule.get("metric") or "the load's first rate, or else of switches/s,"
    width = f"the 95 % interval of {metric} of every arm against the first is {percent(rule['width'])} wide or less"
    hours = f"{rule['max_hours']:g} h of recording are over"
    return f"{width}, or {hours}; after {counted(int(rule['minimum']), 'block')} at least, 1,000 at most"


def run_lines(manifest: Mapping[str, Any], arms: int) -> list[Text]:
    """Show the blocks of a run with several arms: how many are complete, the boots, and what ended it."""
    record = block_record.of(manifest)
    if record is None or arms < 2:
        return []
    boots = BOOTS.get(record.get("reboot", ""), "")
    text = f"blocks: {record['complete']} of {record['planned']} complete; {boots}"
    if rule := record.get("rule"):
        text += f"; {ended(record) or f'until {until(rule)}'}"
    return [line(text)]


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

"""The blocks of a campaign as lines for a terminal: what is planned, what ended it. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.store import block_record
from harness.store.block_words import BOOTS, ended, until
from harness.terminal.line import line
from harness.terminal.progress import spell_seconds

if TYPE_CHECKING:
    from harness.spec import Experiment


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

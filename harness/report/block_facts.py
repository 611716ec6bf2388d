"""How the arms of a campaign can be compared: its blocks, their order and boots, what ended them, the page of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress

from harness import plan
from harness.counted import counted
from harness.errors import HarnessError
from harness.report import text
from harness.report.run_facts import RunFacts
from harness.report.run_files import COMPARISON, RunFile
from harness.report.trial_facts import mapping
from harness.store import RunFolder, block_record
from harness.store.block_words import BOOTS, ended, until
from harness.visible import visible


def block_rows(run: RunFacts) -> list[tuple[str, str]]:
    """Return (name, value) rows of the blocks of a run with several arms; none for one arm, or where none are known."""
    record, arms = block_record.of(run.manifest), _arms(run)
    if record is None or len(arms) < 2:
        return []
    rows = [("blocks", f"{record['complete']} of {record['planned']} complete, each with every arm once")]
    rows.append(("arms", ", ".join(arm for arm, twin in arms.items() if not twin)))
    rows += [("null arm (A/A)", f"{arm} is {twin} again") for arm, twin in arms.items() if twin]
    rows += [("order of the arms in a block", _order(run)), ("boots", _boots(run, record.get("reboot", "")))]
    if rule := record.get("rule"):
        rows.append(("goes on until", text.typeset(visible(until(rule)))))
        rows.append(("ended", text.typeset(visible((ended(record) or "not yet").removeprefix("ended ")))))
    late = [trial.name for trial in run.trials if trial.record.get("late")]
    return [*rows, ("recorded late, after a later block had begun", ", ".join(late) or "no trial")]


def compare_command(run: RunFacts) -> str:
    """Return the command that compares the arms; empty where fewer than two have a usable trial."""
    usable = {trial.arm for trial in run.trials if trial.ok is True}
    return f"harness compare {shlex.quote(run.name)}" if len(usable) > 1 else ""


def comparison_page(files: Sequence[RunFile]) -> str:
    """Return the address of the page of the comparison; empty where the run folder has none."""
    return next((file.href for file in files if file.path == COMPARISON), "")


def _arms(run: RunFacts) -> dict[str, str | None]:
    """Return the arms, each with the one that it is again; as recorded, where this version cannot read the experiment.

    The experiment lists them in the order in which they are compared, the first against each other one.
    """
    with suppress(HarnessError):
        return {arm.name: arm.null_of for arm in plan.arms(RunFolder.open(run.folder).experiment)}
    return {trial.arm: None for trial in run.trials}


def _order(run: RunFacts) -> str:
    trials = mapping(mapping(run.manifest, "spec"), "trials")
    if trials.get("order") == "listed":
        return "as listed"
    return f"drawn from the seed {visible(trials.get('seed', 'that the experiment names'))}"


def _boots(run: RunFacts, reboot: str) -> str:
    known = {trial.record["boot_id"] for trial in run.trials if trial.record.get("boot_id")}
    parts = [BOOTS.get(reboot, ""), f"the recordings are of {counted(len(known), 'boot')}" if known else ""]
    return "; ".join(filter(None, parts))

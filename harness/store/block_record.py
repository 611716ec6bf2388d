"""`blocks` in the manifest: how many blocks a campaign has, by which rule it goes on, and what ended it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.store.json_file import items, mapping, null_or, number, one_of, text, wrong

if TYPE_CHECKING:
    from harness.spec import Experiment

KEY = "blocks"
WIDTH, MAX_HOURS, MAX_BLOCKS, FIXED = "width", "max_hours", "max_blocks", "fixed"  # what ends a campaign
NONE_COMPLETE = "none_complete"  # likewise: the least number of blocks is recorded, and each lost a trial
MOST = 1000  # blocks


def _count(value: Any, key: str) -> None:
    """Accept a number of blocks: a plan is made of so many."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise wrong(key, value, f"a whole number of at most {MOST}")


NUMBER = null_or(number)
RULE = mapping({"metric": null_or(text), "width": number, "max_hours": number, "minimum": _count})
BLOCKS = mapping(
    {
        "planned": _count,
        "complete": _count,
        "reboot": one_of("every block", "never"),
        "rule": null_or(RULE),
        "history": items(mapping({"blocks": _count, "width": NUMBER}, hours=NUMBER)),
        "ended_by": null_or(one_of(WIDTH, MAX_HOURS, MAX_BLOCKS, NONE_COMPLETE, FIXED)),
    }
)


def new(experiment: Experiment) -> dict[str, Any]:
    """Return the record of a campaign that has no block yet. Its `rule` is None if the number of blocks is fixed."""
    from harness import plan  # slow to import, and reading a manifest does not need it

    least = plan.least_blocks(experiment)
    return {
        "planned": least,
        "complete": 0,
        "reboot": experiment.reboot,
        "rule": _rule(experiment, least) if experiment.trials.blocks == "auto" else None,
        "history": [],
        "ended_by": None,
    }


def _rule(experiment: Experiment, least: int) -> dict[str, Any]:
    from harness import plan
    from harness.spec import compared_metric

    compare, arms = experiment.compare, plan.arms(experiment)
    metric = compare.metric or compared_metric.metric_of([arm.experiment for arm in arms])
    return {"metric": metric, "width": compare.width, "max_hours": compare.max_hours, "minimum": least}


def of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the record of a run; None for one that a version wrote which knew no blocks."""
    record: Mapping[str, Any] | None = manifest.get(KEY)
    return record


def planned(manifest: Mapping[str, Any]) -> int | None:
    """Return how many blocks are planned so far; None where the experiment alone decides."""
    record = of(manifest)
    return int(record["planned"]) if record else None


def goes_on(manifest: Mapping[str, Any]) -> bool:
    """Return whether further blocks may follow those that are planned."""
    record = of(manifest)
    return bool(record and record.get("rule") and not record.get("ended_by"))

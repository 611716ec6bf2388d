"""When a campaign that records blocks until its result is sure enough has recorded enough: a rule fixed before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.comparison import sides
from harness.comparison.measured import metrics
from harness.comparison.measured.observation import Observation, observe
from harness.comparison.sides import Side
from harness.comparison.statistics import effects
from harness.comparison.statistics.design import paired, unit_of
from harness.errors import StoreError
from harness.store import RunFolder

if TYPE_CHECKING:
    from harness.spec import Experiment

ENOUGH = 2  # trials of an arm, none of which has a metric, for that to be no accident


@dataclass(frozen=True)
class Rule:
    """Record until the 95 % interval of `metric` is at most `width` wide, of every arm against the first.

    `metric`: None is the load's first rate, or switches/s. `width`: the distance of its ends, 0.02 is 2 % of the first
    arm's value (of a share 2 points). `max_hours` of recording end it in any case. `minimum`: blocks before it may end
    by its width.
    """

    metric: str | None
    width: float
    max_hours: float
    minimum: int


@dataclass(frozen=True)
class Decision:
    """Whether to stop, and why; `width` of the widest interval is None as long as there are too few blocks."""

    stop: bool
    ended_by: Literal["width", "max_hours"] | None
    width: float | None
    blocks: int


def decide(folder: RunFolder, experiment: Experiment, rule: Rule, hours: float) -> Decision:
    """Decide after a block of a campaign whether to record another one; `hours` is the time spent on recording.

    The null arm does not count. Raises UsageError if the recordings have no such metric.
    """
    del experiment  # the arms are those that were recorded; a rule that looked at more would not be fixed before it
    widths = _widths(folder, rule)
    blocks = min((count for count, _ in widths), default=0)
    known = [width for _, width in widths if width is not None]
    width = max(known) if known and len(known) == len(widths) else None
    if width is not None and blocks >= rule.minimum and width <= rule.width:
        return Decision(True, "width", width, blocks)
    if hours >= rule.max_hours:
        return Decision(True, "max_hours", width, blocks)
    return Decision(False, None, width, blocks)


def _widths(folder: RunFolder, rule: Rule) -> list[tuple[int, float | None]]:
    """Return for each arm against the first its complete blocks, and the width of its interval."""
    observed = {folder.path.name: sides.in_order_of_arms(folder, _observed(folder, rule.metric))}
    if len(sides.arms_of(observed)) < 2:
        return []
    found: list[tuple[int, float | None]] = []
    for first, second in sides.pairs_of(observed, None):
        name = _metric_of(first, second, rule.metric)
        both = paired(first, second)
        pairs = [pair for pair in both if name in pair.first.values and name in pair.second.values]
        if not pairs:
            found.append((0, None))
            continue
        effect = effects.of(first, second, pairs, unit_of(pairs), [name], None)[0]
        interval = effect[0].interval if effect else None
        found.append((len(pairs), interval.width if interval else None))
    return found


def _metric_of(first: Side, second: Side, wanted: str | None) -> str:
    """Return the metric that decides. Raises UsageError if no trial of a side has it; one trial may lack it."""
    known = [list(dict.fromkeys(name for one in side.observations for name in one.values)) for side in (first, second)]
    if wanted is None:
        return metrics.primary(name for name in known[0] if name in known[1])
    for side, names in zip((first, second), known, strict=True):
        if len(side.observations) >= ENOUGH:
            metrics.chosen(names, [wanted])
    beginnings = [name for name in known[0] if name in known[1] and name.startswith(wanted)]
    return wanted if wanted in beginnings or not beginnings else beginnings[0]


def _observed(folder: RunFolder, metric: str | None) -> list[Observation]:
    try:
        return observe(folder, slices=metric is not None and metrics.is_of_slices(metric), check=False)
    except StoreError:  # no trial may be used yet
        return []

"""Two runs, metric by metric: equal, equal within 1 %, different, or nothing that can be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from scipy import stats

from harness.comparison.facts.differing import differing_facts
from harness.comparison.facts.fact_difference import FactDifference
from harness.comparison.facts.fact_sources import by_arm, recorded_on
from harness.comparison.measured.units import UNITS, Unit
from harness.comparison.repeat.equivalence import LEVEL, difference
from harness.comparison.repeat.measurement import Key, Measurement, last_digit, measure
from harness.comparison.statistics.inference import holm
from harness.errors import UsageError
from harness.recorded_clock import RecordedClock, two_clocks
from harness.store import RunFolder

CHANCE = 1 - LEVEL
RARE = 0.01  # a recording's metric beyond its noise by so little chance is not put down to chance, not even alone
EQUAL, CLOSE, DIFFERS, UNKNOWN = "equal", "equal within 1 %", "differs", "cannot say"


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one arm in two runs.

    `noise`: two such runs differ by at most this in 95 of 100 cases; None if each has one trial. `margin`: a smaller
    difference is of no practical importance. `scored`: it is a predictor's score, not a metric of the recording.
    `p_adjusted`: `p` corrected for the number of metrics of the recordings, or of scores.
    """

    arm: str
    metric: str
    scored: bool
    unit: str
    first: float
    second: float
    trials: tuple[int, int]
    seeds: tuple[int, int]
    difference: float
    noise: float | None
    margin: float
    p: float | None
    p_adjusted: float | None = None

    @property
    def outcome(self) -> str:
        """`differs` only for a difference that is beyond the margin, and beyond the noise after correction."""
        if self.p is not None and not self.beyond_noise:
            return EQUAL
        if abs(self.difference) <= self.margin:
            return CLOSE
        return DIFFERS if self.p_adjusted is not None and self.p_adjusted < CHANCE else UNKNOWN

    @property
    def beyond_noise(self) -> bool:
        """Whether two such runs differ by less in 95 of 100 cases."""
        return self.p is not None and self.p < CHANCE

    @property
    def shown_unit(self) -> Unit:
        """The unit that its values are shown in."""
        return UNITS[self.unit]


@dataclass(frozen=True)
class RepeatComparison:
    """Two runs: every metric that both have, those that only `first` or `second` has (`missing`), facts that differ."""

    first: str
    second: str
    metrics: tuple[MetricComparison, ...]
    missing: Mapping[str, tuple[str, ...]]
    facts: tuple[FactDifference, ...]

    @cached_property
    def counts(self) -> Counter[str]:
        """How many metrics have each outcome."""
        return Counter(metric.outcome for metric in self.metrics)

    @cached_property
    def open_recordings(self) -> list[MetricComparison]:
        """The metrics of the recordings of which nothing can be said."""
        return [row for row in self.metrics if not row.scored and row.outcome == UNKNOWN]

    @cached_property
    def unclear(self) -> int:
        """How many scores are beyond the margin and their own noise, but do not stand out among all scores."""
        return sum(row.scored and row.outcome == UNKNOWN and row.beyond_noise for row in self.metrics)

    @property
    def unclear_by_chance(self) -> int:
        """The largest number of scores beyond their own noise that chance gives, were they independent (95 %)."""
        scores = sum(row.scored and row.p is not None for row in self.metrics)
        return int(stats.binom.ppf(LEVEL, scores, CHANCE))

    @cached_property
    def outcome(self) -> str:
        """`differs` if a metric does, and `cannot say` if too many metrics of the recordings, or scores, stay open.

        Metrics of a recording are few and depend on each other: chance explains one that is barely beyond its noise.
        """
        if self.counts[DIFFERS]:
            return DIFFERS
        if not self._recordings_by_chance() or self.unclear > self.unclear_by_chance:
            return UNKNOWN
        return CLOSE if self.counts[CLOSE] else EQUAL

    def _recordings_by_chance(self) -> bool:
        """Return whether chance explains the open metrics of the recordings: none, or one that is not rare."""
        chances = [row.p for row in self.open_recordings]
        return not chances or (len(chances) == 1 and chances[0] is not None and chances[0] >= RARE)

    @property
    def equal(self) -> bool:
        """Whether the metrics are equal, or equal within 1 %, except for as many as chance gives."""
        return self.outcome in (EQUAL, CLOSE)

    @property
    def conclusion(self) -> str:
        """The result in one sentence."""
        total, within = len(self.metrics), self.counts[EQUAL]
        if self.outcome == DIFFERS:
            return f"differs: {self.counts[DIFFERS]} of {total} metrics: {_listed(self.metrics, DIFFERS)}"
        if self.outcome == UNKNOWN:
            names = _listed(self.metrics, UNKNOWN)
            return f"cannot say: {self.counts[UNKNOWN]} of {total} metrics: {names}; record more trials"
        near = sum(abs(row.difference) <= row.margin for row in self.metrics)
        text = f"equal: {within} of {total} metrics within what two such runs differ by, {near} within 1 %"
        beyond = self.counts[UNKNOWN]
        return text + (f", {beyond} beyond that, as chance gives" if beyond else "")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, as repeat.json has it."""
        return {
            "first": self.first,
            "second": self.second,
            "outcome": self.outcome,
            "conclusion": self.conclusion,
            "level": LEVEL,
            "metrics": [{**asdict(row), "outcome": row.outcome} for row in self.metrics],
            "missing": {run: list(names) for run, names in self.missing.items()},
            "facts": [asdict(row) for row in self.facts],
        }


def compare_repeated(first: RunFolder, second: RunFolder, *, across_clocks: bool = False) -> RepeatComparison:
    """Compare two runs. Changes neither.

    Raises UsageError when they are one run, share no arm, or were recorded on different clocks without `across_clocks`,
    and StoreError when one has no usable trial or is damaged.
    """
    if first.path == second.path:
        raise UsageError("a run is compared with itself", where=str(first.path), expected="two runs")
    left, right = measure(first), measure(second)
    both = [key for key in left if key in right]
    if not both:
        arms = [", ".join(sorted({arm for arm, _ in run})) for run in (left, right)]
        raise UsageError(
            f"the two runs have no metric of any arm in common; the second has {arms[1]}",
            where=f"{first.path.name}, {second.path.name}",
            expected=f"an arm of the first: {arms[0]}",
        )
    if not across_clocks:
        require_one_clock(first.manifest, second.manifest)
    rows = _adjusted([_compare(left[key], right[key]) for key in both])
    return RepeatComparison(
        first.path.name,
        second.path.name,
        tuple(rows),
        {"first": _missing(left, right), "second": _missing(right, left)},
        tuple(differing_facts(first, second)),
    )


def require_one_clock(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Raise UsageError if an arm was recorded on one clock in one run and on another in the other; of manifests."""
    left, right = by_arm(first), by_arm(second)
    pairs = [(arm, left[arm]["machine"], right[arm]["machine"]) for arm in left if arm in right]
    pairs = pairs or [("", recorded_on(first)[0]["machine"], recorded_on(second)[0]["machine"])]
    for arm, *machines in pairs:
        one, other = map(RecordedClock.of, machines)
        if one != other:
            raise two_clocks(f"the clock of one is {one.text}; of the other, {other.text}", arm)


def _compare(first: Measurement, second: Measurement) -> MetricComparison:
    gap = difference(first.values, second.values)
    return MetricComparison(
        arm=first.arm,
        metric=first.metric,
        scored=first.scored,
        unit=first.unit,
        first=first.mean,
        second=second.mean,
        trials=(len(first.values), len(second.values)),
        seeds=(first.values.shape[1], second.values.shape[1]),
        difference=gap.value,
        noise=gap.noise,
        margin=max(UNITS[first.unit].margin(first.mean), last_digit(first, second)),
        p=gap.p,
    )


def _adjusted(rows: list[MetricComparison]) -> list[MetricComparison]:
    """Correct the p-values of the recordings' metrics together, and those of the scores together."""
    families = {
        scored: holm([row.p for row in rows if row.p is not None and row.scored is scored]) for scored in (False, True)
    }
    adjusted = {scored: iter(values) for scored, values in families.items()}
    return [row if row.p is None else replace(row, p_adjusted=next(adjusted[row.scored])) for row in rows]


def _missing(run: Mapping[Key, Measurement], other: Mapping[Key, Measurement]) -> tuple[str, ...]:
    return tuple(f"{arm} {metric}" for arm, metric in run if (arm, metric) not in other)


def _listed(rows: tuple[MetricComparison, ...], outcome: str, most: int = 4) -> str:
    arms = {row.arm for row in rows}
    names = [row.metric if len(arms) == 1 else f"{row.arm} {row.metric}" for row in rows if row.outcome == outcome]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")

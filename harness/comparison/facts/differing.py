"""The facts of two sides, or of two runs, that differ: those that are the arm, and those besides it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, Protocol

from harness.comparison.facts import arm_settings
from harness.comparison.facts.fact_difference import FactDifference, differences
from harness.comparison.facts.fact_sources import Fact, RunFacts
from harness.comparison.facts.side_facts import SideFacts, collect
from harness.counted import counted
from harness.errors import FactsDifferError
from harness.store import RunFolder
from harness.store.finished_steps import usable_trials
from harness.store.trial_record import read_trial


class Recorded(Protocol):
    """A trial of a side."""

    @property
    def folder(self) -> Path:
        """The folder of its files, RUN/trials/TRIAL."""

    @property
    def arm(self) -> str:
        """The name of its arm."""


class Differences(NamedTuple):
    """The facts that differ: the arm itself and what follows from it, and those besides it."""

    arm: tuple[FactDifference, ...]
    besides: tuple[FactDifference, ...]


def facts_of(observations: Iterable[Recorded]) -> SideFacts:
    """Return the facts of the trials of a side, which may come from several runs and arms.

    Raises StoreError when a manifest cannot be read. A trial whose own files cannot be read has the facts of its run.
    """
    runs = dict[Path, RunFacts]()
    rows, settings = list[dict[Fact, str]](), set[str]()
    for one in sorted(observations, key=lambda one: (one.folder.parents[1].name, one.folder.name)):
        path = one.folder.parents[1]
        run = runs[path] if path in runs else runs.setdefault(path, RunFacts(RunFolder.open(path)))
        rows.append(run.of_trial(one.folder.name, one.arm))
        settings |= run.settings(one.arm)
    return SideFacts(collect(rows), len(rows), frozenset(settings))


def differing(first: SideFacts, second: SideFacts) -> Differences:
    """Return the facts that differ between two sides, and those that vary within one, in the order of `GROUPS`.

    What the arms set differently, and what follows from that, is the arm. If no arm sets anything, it is what the
    experiments say of load and machine. A fact that varies within a side is besides the arm, which is the same there.
    """
    rows = differences(first, second, varying=True)
    changed = arm_settings.changed(rows, first.settings | second.settings)
    causes = [None if row.varies else arm_settings.cause(row, changed) for row in rows]
    arm = [
        replace(row, follows="" if row.name == f"experiment: {cause}" else cause)
        for row, cause in zip(rows, causes, strict=True)
        if cause is not None
    ]
    besides = [row for row, cause in zip(rows, causes, strict=True) if cause is None]
    return Differences(tuple(sorted(arm, key=lambda row: bool(row.follows))), tuple(besides))


class Compared(Protocol):
    """What two sides differ in besides the arm: a `Comparison`."""

    @property
    def facts(self) -> tuple[FactDifference, ...]:
        """The facts that differ besides the arm, or vary within a side."""


def require_equal(comparison: Compared) -> None:
    """Raise FactsDifferError, which lists them, if facts besides the arm differ or vary."""
    rows = comparison.facts
    if not rows:
        return
    is_or_are = "is" if len(rows) == 1 else "are"
    listed = "\n".join(f"{row.name}: {row.shown[0]} | {row.shown[1]}" for row in rows)
    raise FactsDifferError(
        f"besides the arm, {counted(len(rows), 'fact')} of the two sides {is_or_are} not equal:\n{listed}",
        expected="all facts equal, in all trials of both sides",
        hint="`harness diff RUN RUN` shows them; without --require-equal they are listed above the result",
    )


def differing_facts(first: RunFolder, second: RunFolder) -> list[FactDifference]:
    """Return the facts that differ between two runs; of a fact that differs between trials of a run, all values."""
    return differences(of_whole_run(first), of_whole_run(second), varying=False)


def of_whole_run(run: RunFolder) -> SideFacts:
    """Return the facts of all usable trials of a run, and of the run itself; without such a trial, of its arms."""
    known = RunFacts(run)
    names = [(name, arm) for arm, names in usable_trials(run.manifest).items() for name in names]
    rows = [known.of_trial(name, arm) for name, arm in sorted(names)] or known.without_trials()
    own = {Fact("run", "state"): run.state, Fact("host", "host share"): _host_share(run)}
    experiment = known.of_experiment(None)
    values = collect([own | row | experiment for row in rows])
    return SideFacts(values, len(names), counted=False)


def _host_share(run: RunFolder) -> str:
    """Return the share of the recorded time in which the guest's CPU waited for the host's, the mean over trials."""
    trials = [read_trial(run.trial_dir(name)) for names in usable_trials(run.manifest).values() for name in names]
    shares = [share for trial in trials if (share := (trial.get("host") or {}).get("share")) is not None]
    return f"{100 * fmean(shares):.1f} %" if shares else "not measured"

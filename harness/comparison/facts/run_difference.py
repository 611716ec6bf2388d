"""Two runs without their results: the facts that differ, the experiment, and the arms that only one has."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.comparison.facts.fact_difference import FactDifference, differences
from harness.comparison.facts.fact_sources import GROUPS, RunFacts
from harness.comparison.facts.side_facts import SideFacts, collect
from harness.errors import SpecError
from harness.store import RunFolder, experiment_file, input_files
from harness.store.finished_steps import usable_trials

READ = ("trials/*/trial.json", "trials/*/guest.json")


@dataclass(frozen=True)
class ComparedRun:
    """One of the two runs: its name, its state, its arms with their usable trials, and which files are not believed."""

    name: str
    state: str
    trials: Mapping[str, int]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class RunDifference:
    """What differs between two runs.

    `facts` differ between arms of the same name, and between the runs; the name of a fact ends with its arm where not
    all arms differ in it alike. `same` are the facts that do not differ. `experiment` is the unified diff of the
    experiments as they were carried out: of the files that were given, if both say that, else of all values.
    """

    first: ComparedRun
    second: ComparedRun
    facts: tuple[FactDifference, ...]
    same: tuple[FactDifference, ...]
    experiment: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything was compared: what a file says that is not as its run wrote it was left out."""
        return not (self.first.problems or self.second.problems)

    @property
    def differs(self) -> bool:
        """Whether a fact, a line of the experiment or an arm differs, of what was compared."""
        return bool(self.facts or self.experiment or self.only_first or self.only_second)

    @property
    def equal(self) -> bool:
        """Whether nothing differs; what was not compared may."""
        return self.complete and not self.differs

    @property
    def only_first(self) -> tuple[str, ...]:
        """The arms that only the first run has."""
        return tuple(arm for arm in self.first.trials if arm not in self.second.trials)

    @property
    def only_second(self) -> tuple[str, ...]:
        """The arms that only the second run has."""
        return tuple(arm for arm in self.second.trials if arm not in self.first.trials)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "equal": self.equal,
            "complete": self.complete,
            "first": asdict(self.first),
            "second": asdict(self.second),
            "facts": [asdict(row) for row in self.facts],
            "same": [{"group": row.group, "name": row.name, "value": row.first} for row in self.same],
            "experiment": list(self.experiment),
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
        }


def diff(first: RunFolder, second: RunFolder) -> RunDifference:
    """Return what differs between two runs, of any state. Changes neither.

    What a file says that is not as its run wrote it is left out; `problems` names the file.
    """
    left, right = _Run(first), _Run(second)
    shared = [arm for arm in left.arms if left.trials.get(arm) and right.trials.get(arm)]
    pairs = {arm: (left.side(arm), right.side(arm)) for arm in shared} or {"": (left.side(None), right.side(None))}
    rows = _over_arms({arm: differences(*sides, varying=False) for arm, sides in pairs.items()})
    return RunDifference(left.described, right.described, tuple(rows), tuple(_same(pairs, rows)), _texts(left, right))


class _Run:
    """One of the runs, as far as its facts go."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.integrity = run, run.check_files(READ)
        self._facts = RunFacts(run, self.integrity)
        self.trials = usable_trials(run.manifest)
        self.arms = list(dict.fromkeys([*self._facts.arms, *self.trials]))

    @property
    def described(self) -> ComparedRun:
        """The run in the words of the result."""
        trials = {arm: len(self.trials.get(arm, ())) for arm in self.arms}
        return ComparedRun(self.run.path.name, self.run.state, trials, tuple(self.integrity.sentences))

    def side(self, arm: str | None) -> SideFacts:
        """Return the facts of an arm's trials, or of all; without a trial, what the run keeps of the arm."""
        names = [(name, one) for one, names in self.trials.items() for name in names if arm in (None, one)]
        rows = [self._facts.of_trial(*name) for name in sorted(names)] or self._facts.without_trials(arm)
        experiment = self._facts.of_experiment(None)
        return SideFacts(collect([_without_swept(row) | experiment for row in rows]), len(names))


def _without_swept(facts: Mapping[Any, str]) -> dict[Any, str]:
    """Return facts without the values of an arm: the experiment of the whole run is compared instead."""
    return {fact: value for fact, value in facts.items() if fact.group != "experiment"}


def _over_arms(rows: Mapping[str, Sequence[FactDifference]]) -> list[FactDifference]:
    """Return each difference once if all arms have it, else once for each arm, which then is in its name."""
    found: dict[FactDifference, list[str]] = {}
    for arm, differing in rows.items():
        for row in differing:
            found.setdefault(row, []).append(arm)
    named = [
        each
        for row, arms in found.items()
        for each in ([row] if len(arms) == len(rows) else [replace(row, name=f"{row.name}, {arm}") for arm in arms])
    ]
    return sorted(named, key=lambda row: GROUPS.index(row.group))


def _same(pairs: Mapping[str, tuple[SideFacts, SideFacts]], rows: Sequence[FactDifference]) -> Iterator[FactDifference]:
    """Yield the facts that are the same in both runs; of those that differ between arms, all values."""
    names = {row.name for row in rows}
    known: dict[tuple[str, str], dict[str, None]] = {}
    for sides in pairs.values():
        for fact in dict.fromkeys([*sides[0].values, *sides[1].values]):
            known.setdefault((fact.group, fact.name), {})[sides[0].text(fact)] = None
    for (group, name), values in sorted(known.items(), key=lambda item: GROUPS.index(item[0][0])):
        if not any(row == name or row.startswith(f"{name}, ") for row in names):
            text = "; ".join(values)
            yield FactDifference(name, text, text, group)


def _texts(first: _Run, second: _Run) -> tuple[str, ...]:
    """Return the unified diff of the two experiments."""
    given = [_given(one.run) for one in (first, second)]
    texts = given if None not in given else [_resolved(one.run) for one in (first, second)]
    left, right = (str(text).splitlines() for text in texts)
    before, after = (f"{one.run.path.name}/{experiment_file.NAME}" for one in (first, second))
    return tuple(difflib.unified_diff(left, right, before, after, lineterm=""))


def _given(run: RunFolder) -> str | None:
    """Return the file that was given, with its comments, if it says what was carried out."""
    manifest = run.manifest
    try:
        text = experiment_file.text(run.experiment, run.path.name, manifest.get(input_files.KEY))
    except SpecError:
        return None
    return text if text and text == manifest["spec_text"] else None


def _resolved(run: RunFolder) -> str:
    """Return the experiment with all its values, defaults included; as it was stored if this version cannot read it."""
    from harness import spec

    manifest = run.manifest
    try:
        values = input_files.in_run(spec.to_dict(run.experiment), manifest.get(input_files.KEY, {}), None)
    except SpecError:
        values = manifest["spec"]
    return spec.to_yaml(values)

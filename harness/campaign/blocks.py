"""The blocks of a campaign: which trial comes next, and whether another block follows.

A trial that its block lost is tried once more after the last block. With `trials.blocks: auto` the rule of the
experiment decides after each block, from what is recorded; it is fixed in the manifest before the first recording.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from harness import plan
from harness.campaign import recording_time
from harness.plan import Trial
from harness.progress import View
from harness.spec import Experiment
from harness.spec.fields import MAX_BLOCKS
from harness.store import RunFolder, block_record

if TYPE_CHECKING:
    from harness.comparison.stopping import Decision, Rule

Decide = Callable[[RunFolder, Experiment, "Rule", float], "Decision"]


def decide(folder: RunFolder, experiment: Experiment, rule: Rule, hours: float) -> Decision:
    """Decide whether another block follows, as `harness.comparison.stopping` does."""
    from harness.comparison import stopping  # SciPy and statsmodels take a second

    return stopping.decide(folder, experiment, rule, hours)


def planned(experiment: Experiment, folder: RunFolder) -> list[Trial]:
    """Return the trials of a run with the blocks that it has so far.

    A trial that is not recorded while a later block has begun will be `late`.
    """
    trials = plan.trials(experiment, block_record.planned(folder.manifest))
    begun = last_begun(trials, folder)
    return [replace(trial, late=True) if trial.block < begun else trial for trial in trials]


def last_begun(trials: Sequence[Trial], folder: RunFolder) -> int:
    """Return the number of the last block of which a trial has begun; 0 before the first."""
    steps = folder.manifest["steps"]
    return max((trial.block for trial in trials if f"trial:{trial.name}" in steps), default=0)


class Blocks:
    """Yields the trials that are to be recorded, and keeps `blocks` in the manifest.

    `hopeless`: names of the trials whose failure would repeat, as far as they are known when it is asked.
    """

    def __init__(
        self, experiment: Experiment, folder: RunFolder, view: View, hopeless: Collection[str], decide: Decide = decide
    ) -> None:
        self._experiment, self._folder, self._view, self._decide = experiment, folder, view, decide
        self._hopeless = hopeless
        self._arms = len(plan.arms(experiment))
        self._tried: set[str] = set()
        if block_record.of(folder.manifest) is None:  # a run of a version that knew no blocks
            folder.update(**{block_record.KEY: block_record.new(experiment)})

    @property
    def trials(self) -> list[Trial]:
        """All trials of the blocks that are planned so far."""
        return planned(self._experiment, self._folder)

    def unrecorded(self) -> list[Trial]:
        """Return the planned trials that have no usable recording."""
        return [trial for trial in self.trials if not self._is_done(trial)]

    def trials_to_record(self) -> Iterator[Trial]:
        """Yield trials in the order in which they are to be recorded; those that are recorded already are left out.

        After the last trial of a block, whoever asks for the next one waits until it is decided whether there is one.
        """
        begun = last_begun(self.trials, self._folder)
        blocks = islice(plan.blocks_of(self._experiment), begun, None)
        for number, block in zip(count(begun), blocks, strict=False):
            if number >= self._record["planned"] and not self._another(number):
                break
            if todo := [trial for trial in block if not self._is_done(trial)]:
                yield from self._trying(todo)
                self._finished(number)
        if not self._record["ended_by"]:
            self._update(ended_by=block_record.FIXED)
        yield from self._lost()

    def _trying(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        for trial in trials:
            self._tried.add(trial.name)
            yield trial

    def _lost(self) -> Iterator[Trial]:
        """Yield the trials that their blocks lost; what would fail again, or is compared with nothing, not twice."""
        lost = [
            trial
            for trial in self.unrecorded()
            if trial.name not in self._tried or (self._arms > 1 and trial.name not in self._hopeless)
        ]
        if lost:
            names = ", ".join(trial.name for trial in lost)
            self._view.show("info", f"after the last block, what blocks lost is recorded once more: {names}")
        yield from self._trying(lost)
        self._update(complete=self._complete())

    @property
    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = self._folder.manifest[block_record.KEY]
        return record

    def _update(self, **changes: Any) -> None:
        record = {**self._record, **changes}
        self._folder.update(**{block_record.KEY: record, "trials_planned": record["planned"] * self._arms})

    def _is_done(self, trial: Trial) -> bool:
        return self._folder.is_done(f"trial:{trial.name}")

    def _complete(self) -> int:
        """Return how many blocks have a usable recording of every arm."""
        trials = self.trials
        return len({trial.block for trial in trials} - {trial.block for trial in trials if not self._is_done(trial)})

    def _another(self, number: int) -> bool:
        """Plan one block more, if the rule asks for it."""
        if not block_record.goes_on(self._folder.manifest):
            return False
        history = self._record["history"]
        if not (history and history[-1]["blocks"] == number):  # not decided since the last block, such as after Ctrl-C
            self._judge(number)
        if self._record["ended_by"]:
            return False
        if ended_by := self._limit(number):
            self._update(ended_by=ended_by)
            return False
        self._update(planned=number + 1)
        return True

    def _limit(self, number: int) -> str | None:
        """Return what ends a campaign after so many blocks although its rule asks for more.

        Where every block lost a trial, as of an arm that cannot be recorded, all hours would bring no interval.
        """
        if number >= self._record["rule"]["minimum"] and not self._record["complete"]:
            return block_record.NONE_COMPLETE
        return block_record.MAX_BLOCKS if number >= MAX_BLOCKS else None

    def _finished(self, number: int) -> None:
        self._update(complete=self._complete())
        if block_record.goes_on(self._folder.manifest):
            self._judge(number + 1)

    def _judge(self, blocks: int) -> None:
        """Evaluate the rule after so many blocks; show and write down what comes of it."""
        from harness.comparison.stopping import Rule

        rule = Rule(**{key: self._record["rule"][key] for key in ("metric", "width", "max_hours", "minimum")})
        hours = recording_time.hours(self._folder.events())
        decision = self._decide(self._folder, self._experiment, rule, hours)
        seen = {"blocks": blocks, "width": decision.width, "hours": round(hours, 4)}
        ended = {"ended_by": decision.ended_by, "planned": blocks} if decision.stop else {}
        self._update(history=[*self._record["history"], seen], **ended)
        self._folder.event("block", **seen, ended_by=decision.ended_by)
        self._view.show("info", sentence(blocks, decision.width, hours, rule))


def sentence(blocks: int, width: float | None, hours: float, rule: Rule) -> str:
    """Say how far a campaign is after a block."""
    metric = rule.metric or "the first rate"
    known = "is not known yet" if width is None else f"is {100 * width:.3g} % wide"
    wanted = f"{100 * rule.width:.3g} % is asked for"
    so_far = f"{hours:.2f} of {rule.max_hours:g} h"
    return f"after block {blocks}: the interval of {metric} {known}, {wanted}; {so_far}"

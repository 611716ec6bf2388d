"""One execution of an experiment: record what is missing, train what is missing, write the report.

Every step leaves files whose hashes stand in the manifest, and a step whose files are there and unchanged is not done
again. Going on after an interruption is therefore the same loop, run once more.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness import plan, report
from harness.campaign import training
from harness.campaign.recorder import Effects, Recorder
from harness.campaign.steps import recorded_step
from harness.errors import HarnessError, Interrupted
from harness.interrupt import stop_signals_raise
from harness.plan import Trial
from harness.progress import View
from harness.spec import Experiment
from harness.store import RunFolder


@dataclass(frozen=True)
class Outcome:
    """How a campaign ended: the trials that may not be used, the models that failed, and where the report is."""

    unusable: tuple[str, ...]
    failed_models: tuple[str, ...]
    report: Path

    @property
    def ok(self) -> bool:
        """True when every trial is usable and every model was scored."""
        return not self.unusable and not self.failed_models


class Campaign:
    """Works in one run folder; `run` does what is not done yet and leaves no machine behind."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        view: View,
        *,
        keep: bool = False,
        workers: int | None = None,
        effects: Effects | None = None,
    ) -> None:
        self._experiment, self._folder, self._view = experiment, folder, view
        self._keep, self._workers, self._effects = keep, workers, effects

    def run(self) -> Outcome:
        """Carry the campaign out.

        Raises Interrupted on Ctrl-C, SIGTERM or SIGHUP, and HarnessError when it cannot go on. In both cases what was
        recorded stays, and the run's state in the manifest says which of the two it was.
        """
        with self._folder.lock(), stop_signals_raise():
            with self._state() as shortcomings:
                trials = plan.trials(self._experiment)
                unusable = self._record(trials)
                failed = training.train(self._experiment, self._folder, self._view, trials, self._workers)
                shortcomings += [f"{name} may not be used" for name in unusable]
                shortcomings += [f"{name} was not scored" for name in failed]
            page = self._report()
        return Outcome(tuple(unusable), tuple(failed), page)

    def _record(self, trials: list[Trial]) -> list[str]:
        recording = Recorder(self._folder, self._view, keep=self._keep, effects=self._effects)
        recording.clear()
        for group in plan.by_machine(trials):
            recording.record(group)
        return [trial.name for trial in trials if not self._folder.done(f"trial:{trial.name}")]

    def _report(self) -> Path:
        """Written after the state is settled, so that the page does not say that the run is still under way."""
        try:
            with recorded_step(self._folder, self._view, "report", "Write the report") as step:
                step.outputs.append(report.build(self._folder.path))
        except BaseException as error:
            state = "interrupted" if isinstance(error, Interrupted) else "failed"
            self._folder.update(state=state, error=f"the report was not written: {error}")
            raise
        return step.outputs[0]

    @contextmanager
    def _state(self) -> Iterator[list[str]]:
        """Keep the run's state true; with shortcomings in the yielded list, it ends as failed."""
        self._folder.update(state="running", error=None)
        shortcomings: list[str] = []
        try:
            yield shortcomings
        except Interrupted as stop:
            self._folder.update(state="interrupted", error=stop.what)
            self._say_what_is_there()
            raise
        except BaseException as error:
            text = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
            self._folder.update(state="failed", error=text)
            self._say_what_is_there()
            raise
        told = "; ".join(shortcomings)
        self._folder.update(state="failed" if told else "done", error=told or None)

    def _say_what_is_there(self) -> None:
        """How a run that ended before its time can be gone on with, or looked at as it is."""
        with suppress(OSError, HarnessError):  # the terminal or the disk may be what is gone: that is told elsewhere
            planned = plan.trials(self._experiment)
            usable = sum(self._folder.done(f"trial:{trial.name}") for trial in planned)
            run = shlex.quote(str(self._folder.path))
            look = f"; `harness report {run}` reports on what is there" if usable else ""
            self._view.say(
                "info",
                f"{usable} of {len(planned)} trials are recorded: `harness run --resume {run}` goes on with them{look}",
            )

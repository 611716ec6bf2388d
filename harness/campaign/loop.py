"""One execution of an experiment: record the missing trials, train the missing models, write the report.

The manifest holds the hashes of each step's files, and a step whose files exist unchanged is not done again. Resuming
after an interruption is therefore the same loop, run once more.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from harness import cleaned_tables, plan
from harness.campaign import blocks, needs, reporting, spec_change, training
from harness.campaign.blocks import Blocks, Decide
from harness.campaign.busy_host import BusyHost
from harness.campaign.effects import Effects
from harness.campaign.recorder import Recorder
from harness.campaign.recovery import Recovery
from harness.errors import EXIT_INTERRUPTED, HarnessError, Interrupted
from harness.interrupt import stop_signals_raise
from harness.plan import Trial
from harness.progress import View
from harness.spec import Experiment
from harness.store import RunFolder, input_files


@dataclass(frozen=True)
class Outcome:
    """How a campaign ended: the trials that may not be used, the models that failed, and the path of the report."""

    unusable: tuple[str, ...]
    failed_models: tuple[str, ...]
    report: Path

    @property
    def ok(self) -> bool:
        """Whether every trial is usable and every model was scored."""
        return not self.unusable and not self.failed_models


GO_ON = "go on from here with `harness run --resume`; what was recorded stays"


class Campaign:
    """One run folder and its experiment; `run` does the steps that are not done and leaves no machine up."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        view: View,
        *,
        keep: bool = False,
        workers: int | None = None,
        provision_anew: bool = False,
        effects: Effects | None = None,
        decide: Decide = blocks.decide,
    ) -> None:
        self._experiment, self._folder, self._view, self._decide = experiment, folder, view, decide
        self._keep, self._workers, self._effects = keep, workers, effects or Effects()
        self._provision_anew = provision_anew
        self._prevented = ""  # what an error prevents now, for the manifest

    def run(self) -> Outcome:
        """Carry out the campaign.

        Raises Interrupted on Ctrl-C, SIGTERM or SIGHUP, and HarnessError when it cannot continue. In both cases
        recordings stay, and the run's state in the manifest is `interrupted` or `failed`.
        """
        with (
            self._folder.lock(),
            stop_signals_raise(GO_ON, EXIT_INTERRUPTED),
            self._tracked(),
            self._state() as shortcomings,
        ):
            spec_change.finish(self._folder)
            trials = self._record()
            unusable = [trial.name for trial in trials if not self._folder.is_done(f"trial:{trial.name}")]
            cleaned_tables.restore(cleaned_tables.absent(self._folder), self._view)
            failed = training.train(self._experiment, self._folder, self._view, trials, self._workers)
            shortcomings += [f"{name} may not be used" for name in unusable]
            shortcomings += [f"{name} was not scored" for name in failed]
            self._folder.forget_interrupted()
            self._prevented = "the report was not written: "
            page = reporting.write(self._folder, self._view, **_ending(shortcomings))
        return Outcome(tuple(unusable), tuple(failed), page)

    def _record(self) -> list[Trial]:
        """Record what is missing, boot after boot; return all trials, which may be more than were planned before."""
        recorder = Recorder(
            self._folder, self._view, keep=self._keep, provision_anew=self._provision_anew, effects=self._effects
        )
        upcoming = Blocks(self._experiment, self._folder, self._view, recorder.hopeless, self._decide)
        needs.of(upcoming.unrecorded(), self._folder.manifest.get("load_packages"))  # or nothing is begun
        try:
            Recovery(self._folder, self._view, self._effects).recover(upcoming.trials)
        finally:
            recorder.clear()
        if todo := upcoming.unrecorded():
            input_files.require_unchanged(self._folder.path, self._folder.manifest)
        busy_host = BusyHost(self._folder, self._view, self._effects.measure_host)
        busy_host.warn(todo, self._effects.kvm_works())
        if todo:
            busy_host.name_others(self._effects.other_machines(), "other machines of harness run on this host")
        else:
            self._view.show("info", f"all {len(upcoming.trials)} trials are recorded already")
        try:
            for (machine, _), boot in groupby(upcoming.trials_to_record(), plan.boot_of):
                recorder.record(boot, [trial for trial in upcoming.trials if trial.machine.as_booted == machine])
        finally:
            recorder.show_left()
        return upcoming.trials

    @contextmanager
    def _tracked(self) -> Iterator[None]:
        """Send how the run ended, once its manifest has it."""
        try:
            yield
        finally:
            self._effects.track(self._folder)

    @contextmanager
    def _state(self) -> Iterator[list[str]]:
        """Keep the run's state in the manifest up to date; it ends as failed if the yielded list is not empty."""
        self._folder.update(state="running", error=None)
        shortcomings: list[str] = []
        try:
            self._effects.track(self._folder)
            yield shortcomings
            self._folder.update(**_ending(shortcomings))
        except BaseException as error:
            state = "interrupted" if isinstance(error, Interrupted) else "failed"
            self._folder.update(state=state, error=self._prevented + _text(error))
            self._show_how_to_resume()
            raise

    def _show_how_to_resume(self) -> None:
        """Show how a run that ended early can be resumed, or reported on as it is."""
        with suppress(OSError, HarnessError):  # this must not hide the error that ended the run: such as a full disk
            planned = blocks.planned(self._experiment, self._folder)
            usable = sum(self._folder.is_done(f"trial:{trial.name}") for trial in planned)
            run = shlex.quote(str(self._folder.path))
            look = f"; `harness report {run}` reports on them" if usable else ""
            self._view.show(
                "info",
                f"{usable} of {len(planned)} trials are recorded: `harness run --resume {run}` goes on with them{look}",
            )


def _ending(shortcomings: list[str]) -> dict[str, str | None]:
    """Return the state and the error of a run that came to its end."""
    error = "; ".join(shortcomings) or None
    return {"state": "failed" if error else "done", "error": error}


def _text(error: BaseException) -> str:
    """Return why a run ended early."""
    if isinstance(error, Interrupted):
        return error.what
    return str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"

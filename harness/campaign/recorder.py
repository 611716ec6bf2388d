"""The trials of one boot: bring a machine up, provision it, record and judge each trial, take it down."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from harness import machines
from harness.campaign.busy_host import BusyHost, kept_waiting
from harness.campaign.effects import Effects
from harness.campaign.preparation import Preparation, RunningMachine
from harness.campaign.steps import files_of, recorded_step
from harness.campaign.verdict import Verdict
from harness.errors import GuestError, LostMachineError, RemoteError, TraceError, TrialError, VerdictError
from harness.guest.remote import Host
from harness.interrupt import defer_stop_signals
from harness.plan import Trial
from harness.progress import View
from harness.recorded_clock import RecordedClock
from harness.spec import MachineSpec
from harness.store import RunFolder


class Recorder:
    """Records those trials of one boot that are not done."""

    def __init__(
        self,
        folder: RunFolder,
        view: View,
        *,
        keep: bool = False,
        provision_anew: bool = False,
        effects: Effects | None = None,
    ) -> None:
        self._folder, self._view, self._keep = folder, view, keep
        self._effects = effects or Effects()
        self._met: list[str] = []  # the other machines that were named last
        self._clocks: set[str] = set()  # of the machines so far, and those of earlier recordings that were shown
        self._left: RunningMachine | None = None  # up after its boot, because it is to be kept
        self.hopeless: set[str] = set()  # trials that failed in a way that would repeat
        self._preparation = Preparation(folder, view, self._effects, provision_anew=provision_anew)

    def clear(self) -> None:
        """Remove machines of this run folder that a killed process left up; this process alone works in the folder."""
        for entry in machines.entries():
            if self._folder.path in Path(entry.folder).parents:
                title = f"Remove {entry.domain}, left by a killed process"
                name = f"down:{Path(entry.folder).name}"
                with defer_stop_signals(), recorded_step(self._folder, self._view, name, title):
                    machines.remove(entry)
        for name, step in self._folder.manifest["steps"].items():
            if name.startswith("down:") and step["state"] == "interrupted":
                self._folder.finish(name)

    def record(self, trials: Iterable[Trial], alike: Sequence[Trial]) -> None:
        """Record those of `trials` that are not done on one boot; bring up no machine when all are done.

        Each is asked for when the one before is recorded. `alike` are all trials of the campaign on such a machine: it
        gets what any of them needs.

        Mark a trial failed and go on if its recording may not be used. Raises HostError if no machine comes up,
        ProvisionError if the packages cannot be installed, and TrialError, RemoteError or TraceError if a trial
        cannot be carried out. However it ends, no machine is up afterwards that is not to be kept.
        """
        todo = (trial for trial in trials if not self._folder.is_done(f"trial:{trial.name}"))
        if (first := next(todo, None)) is None:
            return
        # A stop signal may come before the first `take_down` defers it. Only one signal raises Interrupted, so the
        # second is safe from it. A signal between these lines and those of a context manager would pass that by.
        try:
            try:
                self._record_on_a_machine(chain([first], todo), alike)
            finally:
                self._preparation.take_down()
        finally:
            self._preparation.take_down()

    def _record_on_a_machine(self, todo: Iterable[Trial], alike: Sequence[Trial]) -> None:
        if self._left and self._preparation.take_back():
            left, self._left = self._left, None
            self._take_down(left)
        running = self._bring_up(alike)
        try:
            self._record_arms(alike, running)
            for trial in todo:
                running = self._trial(running, trial, alike)
                self._effects.track(self._folder)  # nothing is being recorded now
        finally:
            self._leave_up(running) if self._keep else self._take_down(running)

    def show_left(self) -> None:
        """Say how a person reaches the machine that stays up, if one does."""
        if self._left:
            self._view.show("warn", f"the machine stays up: {ssh_command(self._left.host)}; `harness down` removes it")

    def _bring_up(self, alike: Sequence[Trial]) -> RunningMachine:
        """Bring up the machine of these trials; once more if it is lost before it is ready."""
        spec = self._with_clock_so_far(alike)
        try:
            return self._preparation.bring_up(spec, alike)
        except LostMachineError as lost:
            self._warn(f"{lost}; bringing up another machine")
            self._preparation.take_down()
            return self._preparation.bring_up(spec, alike)

    def _another(self, lost: RunningMachine, alike: Sequence[Trial]) -> RunningMachine:
        """Remove a machine that was lost, and bring up one in its place."""
        self._take_down(lost)
        running = self._bring_up(alike)
        self._record_arms(alike, running)
        return running

    def _leave_up(self, running: RunningMachine) -> None:
        self._left = running if self._preparation.leave_up() else None

    def _with_clock_so_far(self, alike: Sequence[Trial]) -> MachineSpec:
        """Return the machine of these trials, with the clock of those recorded already if the experiment names none.

        What a machine chooses by itself may change: with KVM, with the host that resumes the run, with the version.
        """
        spec, manifest = alike[0].machine, self._folder.manifest
        recorded = [trial.arm.name for trial in alike if self._folder.is_done(f"trial:{trial.name}")]
        if spec.clock or not recorded:
            return spec
        arm = manifest.get("arms", {}).get(recorded[0])
        clock = RecordedClock.of(arm["machine"] if arm else manifest.get("machine") or {})
        if clock.short not in self._clocks:
            text = f"the trials recorded already are of the clock {clock.short}, so the others will be too"
            self._view.show("info", text)
        self._clocks.add(clock.short)
        return spec.model_copy(update={"clock": clock.kind, "cpu_speed": clock.cpu_speed})

    def _take_down(self, running: RunningMachine) -> None:
        """Take the machine down as a step; `record` does it where this step cannot be shown or recorded."""
        step = recorded_step(self._folder, self._view, f"down:{running.box}", "Take the machine down", adds_up=True)
        with defer_stop_signals(), step:
            self._preparation.take_down()

    def _record_arms(self, alike: Sequence[Trial], running: RunningMachine) -> None:
        """Store box, machine and packages under `arms`; the top-level `box` and `machine` are the last ones."""
        self._clocks.add(RecordedClock.of(running.facts).short)
        trials = [trial for trial in alike if not self._folder.is_done(f"trial:{trial.name}")]
        manifest = self._folder.manifest
        recorded_on = {"box": manifest["box"], "machine": running.facts, "packages": running.packages}
        self._folder.update(arms={**manifest.get("arms", {}), **{trial.arm.name: recorded_on for trial in trials}})

    def _trial(self, running: RunningMachine, trial: Trial, alike: Sequence[Trial]) -> RunningMachine:
        """Repeat the trial until its recording is usable, its failure would repeat, or no attempt is left.

        Wait for calm before it is repeated if the host kept the guest waiting; other failures are repeated at once, on
        another machine where this one was lost. Return the machine that is up in the end.

        Raises the last attempt's TrialError, RemoteError or TraceError, because it points to the machine. A GuestError
        (a load that ended early, for example) is not raised: only this trial fails.
        """
        allowed = trial.arm.experiment.trials.attempts
        for number in range(1, allowed + 1):
            last = number == allowed
            try:
                verdict = self._attempt(running, trial, number)
            except (TrialError, RemoteError, TraceError) as error:
                if last and not isinstance(error, GuestError):
                    raise
                self._warn(f"{trial.name}, attempt {number} of {allowed}: {error}")
                if isinstance(error, GuestError) and not error.retryable:
                    self.hopeless.add(trial.name)
                    break
                if isinstance(error, LostMachineError):
                    running = self._another(running, alike)
                continue
            if verdict.ok:
                break
            again = verdict.retryable and not last
            self.hopeless |= set() if verdict.retryable else {trial.name}
            self._warn(f"{trial.name} may not be used: {verdict.reason}" + ("; recording it again" if again else ""))
            if not again:
                break
            if kept_waiting(verdict):
                own = running.machine.monitor().process_ids()
                BusyHost(self._folder, self._view, self._effects.measure_host).wait(trial, number, own)
        return running

    def _attempt(self, running: RunningMachine, trial: Trial, number: int) -> Verdict:
        self._set_aside(trial)
        folder = self._folder.trial_dir(trial.name)
        title = f"Record {trial.name}" + (f", attempt {number}" if number > 1 else "")
        with suppress(VerdictError), recorded_step(self._folder, self._view, f"trial:{trial.name}", title) as step:
            result = self._effects.make_attempt(
                running.host, trial, folder, number, running.facts, step.watcher, running.machine.monitor()
            )
            step.outputs += files_of(folder)
            step.detail.update(result.detail)
            self._name_others(trial, result.detail.get("other_machines", []))
            if not result.verdict.ok:
                raise VerdictError(result.verdict.reason)
        return result.verdict

    def _name_others(self, trial: Trial, met: list[str]) -> None:
        """Name the other machines of harness that ran beside a trial, unless they were named last."""
        if met != self._met:
            self._met = met
            busy_host = BusyHost(self._folder, self._view, self._effects.measure_host)
            busy_host.name_others(met, f"other machines of harness ran while {trial.name} was recorded")

    def _set_aside(self, trial: Trial) -> None:
        """Move the files of an earlier attempt to `attempts/`, so that no recording is lost or mixed with another."""
        folder = self._folder.trial_dir(trial.name)
        if not folder.is_dir():
            return
        targets = (self._folder.path / "attempts" / f"{trial.name}-{number}" for number in count(1))
        target = next(path for path in targets if not path.exists())
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        self._folder.finish(f"attempt:{target.name}", files_of(target))

    def _warn(self, text: str) -> None:
        self._preparation.warn(text)


def ssh_command(host: Host) -> str:
    """Return the command with which a person logs in to the machine."""
    known = shlex.quote(f'UserKnownHostsFile="{host.known_hosts_path}"')  # ssh splits it at spaces once more
    return f"ssh -i {shlex.quote(str(host.key_path))} -o {known} -p {host.port} {host.user}@{host.address}"

"""What a killed process left of its trials: recordings that are complete, or still on a machine that is up, are kept.

A trial is recovered once, when the run is resumed, and judged like any other. What the dead process did not see of the
host is not known; whether the recording may be used without it is for the verdict to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.campaign.attempt import Attempt, judge
from harness.campaign.effects import Effects
from harness.campaign.steps import files_of, recorded_step
from harness.errors import GuestError, HostError, RemoteError, TraceError, TrialError, VerdictError
from harness.guest import left_recording
from harness.guest.monitor import Monitor
from harness.guest.remote import Host
from harness.guest.trial import TrialFiles
from harness.machines import Leftover
from harness.noise import moments_file
from harness.noise.observation import Observation
from harness.plan import Trial
from harness.progress import View, Watcher
from harness.store import RunFolder
from harness.store.clock import now

FAILURES = (GuestError, HostError, RemoteError, TraceError, TrialError)


class Recovery:
    """Recovers the trials of one run folder, before the machines that a killed process left there are removed."""

    def __init__(self, folder: RunFolder, view: View, effects: Effects) -> None:
        self._folder, self._view, self._effects = folder, view, effects

    def recover(self, trials: Sequence[Trial]) -> None:
        """Keep the recordings of trials that were interrupted, and remove what was copied of others.

        A trial that cannot be recovered is recorded again, with a warning that says why.
        """
        self._list_earlier_attempts()
        for trial in trials:
            step = self._folder.manifest["steps"].get(f"trial:{trial.name}")
            if step and step["state"] == "interrupted" and self._folder.trial_dir(trial.name).is_dir():
                self._recover(trial)

    def _recover(self, trial: Trial) -> None:
        folder = self._folder.trial_dir(trial.name)
        arm = self._folder.manifest.get("arms", {}).get(trial.arm.name)
        try:
            if arm and (files := left_recording.complete_in(folder)):
                self._judge(trial, arm["machine"], files)
            elif arm and (machine := self._machine(arm["machine"])):
                self._fetch(trial, arm["machine"], machine)
        except FAILURES as error:
            self._warn(f"the recording of {trial.name} cannot be kept: {error}; recording it again")
        finally:
            with suppress(OSError):
                left_recording.remove_half_copied(folder)

    def _machine(self, facts: Mapping[str, Any]) -> Leftover | None:
        """Return the machine with these facts, if a killed process left it."""
        return next((left for left in self._effects.left_behind() if left.domain == facts.get("domain")), None)

    def _judge(self, trial: Trial, machine: Mapping[str, Any], files: TrialFiles) -> None:
        def attempt(watcher: Watcher) -> Attempt:
            observation = Observation(moments_file.guest_in(files.guest_json.parent), machine["cpus"])
            return _judged(trial, machine, files, observation, "the run folder", watcher)

        self._step(trial, f"Judge {trial.name}, which was recorded already", attempt)

    def _fetch(self, trial: Trial, machine: Mapping[str, Any], left: Leftover) -> None:
        folder = self._folder.trial_dir(trial.name)

        def attempt(watcher: Watcher) -> Attempt:
            host, monitor = self._effects.attach(left, machine)
            files, observation = fetch(host, monitor, trial, machine, folder, watcher)
            return _judged(trial, machine, files, observation, "the machine", watcher)

        self._step(trial, f"Fetch {trial.name} from {left.domain}, left by a killed process", attempt)

    def _step(self, trial: Trial, title: str, attempt: Any) -> None:
        folder = self._folder.trial_dir(trial.name)
        with suppress(VerdictError), recorded_step(self._folder, self._view, f"trial:{trial.name}", title) as step:
            result = attempt(step.watcher)
            step.outputs += files_of(folder)
            step.detail.update(result.detail)
            if not result.verdict.ok:
                self._warn(f"{trial.name} may not be used: {result.verdict.reason}; recording it again")
                raise VerdictError(result.verdict.reason)

    def _list_earlier_attempts(self) -> None:
        """List the attempts that a killed process had set aside and not listed."""
        for path in sorted((self._folder.path / "attempts").glob("*")):
            if path.is_dir() and f"attempt:{path.name}" not in self._folder.manifest["steps"]:
                self._folder.finish(f"attempt:{path.name}", files_of(path))

    def _warn(self, text: str) -> None:
        self._folder.event("warning", text=text)
        self._view.show("warn", text)


def fetch(
    host: Host, monitor: Monitor, trial: Trial, machine: Mapping[str, Any], folder: Path, watcher: Watcher
) -> tuple[TrialFiles, Observation]:
    """Copy a trial's recording from the machine that is still there; return it with what is known of the host."""
    observation = Observation(monitor, machine["cpus"], name=machine.get("domain"))
    moments_file.restore(observation, folder)
    on_phase = moments_file.keeping(observation, monitor, folder)
    files = left_recording.fetch(host, trial.load, folder, watcher, monitor=monitor, on_phase=on_phase)
    return files, observation


def _judged(
    trial: Trial,
    machine: Mapping[str, Any],
    files: TrialFiles,
    observation: Observation,
    source: str,
    watcher: Watcher,
) -> Attempt:
    """Judge a recovered recording; its trial.json says whence it is and which ends of it were seen on the host."""
    folder = files.guest_json.parent
    seen = moments_file.restore(observation, folder)
    number = left_recording.attempt_of(left_recording.config_of(folder))
    recovered = {"from": source, "at": now(), "host_seen_at": seen}
    return judge(trial, files, number, machine, observation, watcher, recovered=recovered)

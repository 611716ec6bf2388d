"""The trials of one machine: bring it up, provision it, record and judge each trial, take it down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from harness import boxes, machines
from harness.boxes import Box
from harness.campaign import attempt
from harness.campaign.attempt import Attempt
from harness.campaign.steps import files_of, recorded_step
from harness.campaign.verdict import Verdict
from harness.errors import GuestError, HostError, RemoteError, TraceError, TrialError, VerdictError
from harness.guest import provision
from harness.guest.ansible_events import ProvisionReport
from harness.guest.remote import Host
from harness.interrupt import defer_stop_signals
from harness.machines import Machine
from harness.plan import Trial
from harness.progress import View, Watcher
from harness.spec import MachineSpec
from harness.store import RunFolder

ROLES = ("perf",)  # what every trial needs, whatever its load


@dataclass(frozen=True)
class RunningMachine:
    """A machine that is up: where to reach it, which box it runs, and what it turned out to be."""

    machine: Machine
    host: Host
    box: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Effects:
    """What acts on the world; a test puts fakes in their place."""

    box: Callable[[str, Watcher], Box | str] = lambda name, watcher: boxes.build(boxes.recipe(name), watcher)
    machine: Callable[[MachineSpec, Box | str, Path, str], Machine] = lambda spec, box, place, name: machines.KINDS[
        spec.provider
    ](spec, box, place, name)
    provision: Callable[..., ProvisionReport] = provision.apply
    attempt: Callable[..., Attempt] = attempt.carry_out


class Recorder:
    """Records what is missing of a group of trials that share one machine."""

    def __init__(self, folder: RunFolder, view: View, *, keep: bool = False, effects: Effects | None = None) -> None:
        self._folder, self._view, self._keep = folder, view, keep
        self._effects = effects or Effects()

    def clear(self) -> None:
        """Take away the machines of this run folder that a killed process left up: nothing may still need them."""
        for entry in machines.left_behind():
            if self._folder.path in Path(entry.folder).parents:
                with self._view.step(f"down:{entry.domain}", f"Remove {entry.domain}, left by a killed process"):
                    machines.remove(entry)

    def record(self, group: Sequence[Trial]) -> None:
        """Record every trial of `group` that is not done; nothing is brought up when all are.

        A trial whose recording may not be used is marked failed, not raised. Raises HostError when no machine comes
        up, ProvisionError when it cannot be prepared, TrialError or RemoteError when it was lost on the way.
        """
        todo = [trial for trial in group if not self._folder.done(f"trial:{trial.name}")]
        if not todo:
            self._view.say("info", f"all {len(group)} trials are recorded already")
            return
        with self._machine(todo[0].machine) as ready:
            packages = self._provision(ready, todo)
            self._note_arms(todo, ready, packages)
            for trial in todo:
                self._trial(ready, trial)

    @contextmanager
    def _machine(self, spec: MachineSpec) -> Iterator[RunningMachine]:
        ready = self._up_or_fallback(spec)
        try:
            yield ready
        finally:
            if self._keep:
                self._view.say("warn", f"the machine stays up: {_ssh(ready.host)}; `harness down` removes it")
            else:
                self._take_down(ready)

    def _take_down(self, ready: RunningMachine) -> None:
        """Also where that can be neither shown nor written down: the terminal is closed, the disk is full."""
        with defer_stop_signals(), ExitStack() as at_last:
            at_last.callback(ready.machine.down)
            with recorded_step(self._folder, self._view, f"down:{ready.box}", "Take the machine down"):
                at_last.pop_all().close()

    def _up_or_fallback(self, spec: MachineSpec) -> RunningMachine:
        """The box that was asked for, or the fallback, announced; a run that fell back once stays with it."""
        before = (self._folder.manifest.get("box") or {}).get("fallback_reason")
        if spec.fallback and before:
            return self._up(spec, spec.fallback, before)
        try:
            return self._up(spec, spec.box, None)
        except HostError as error:
            if not spec.fallback:
                raise
            reason = str(error)
        self._warn(f"{spec.box} is not to be had: {reason}")
        self._warn(f"going on with the fallback {spec.fallback}, as the experiment allows")
        return self._up(spec, spec.fallback, reason)

    def _up(self, spec: MachineSpec, name: str, fallback_reason: str | None) -> RunningMachine:
        box = self._box(name)
        known = {"name": name, "digest": box.digest, "kernel": box.kernel} if isinstance(box, Box) else {"name": name}
        self._folder.update(box={**known, "asked": spec.box, "fallback_reason": fallback_reason})
        used = spec.model_copy(update={"box": name, "fallback": None})
        place = self._folder.path / "machine" / name.replace("/", "-")
        machine = self._effects.machine(used, box, place, "guest")
        try:
            with recorded_step(self._folder, self._view, f"up:{name}", f"Bring up {name}") as step:
                hosts = machine.up(step.watcher)
                step.detail.update(machine.facts())
            self._folder.update(machine=machine.facts())
        except BaseException:  # it may be up, and not be written down: stopped just then, or the disk is full
            with defer_stop_signals():
                machine.down()
            raise
        return RunningMachine(machine, hosts[0], name, machine.facts())

    def _box(self, name: str) -> Box | str:
        if "/" in name:  # a ready-made box, which Vagrant fetches itself
            return name
        with recorded_step(self._folder, self._view, f"box:{name}", f"Get the box {name}") as step:
            box = self._effects.box(name, step.watcher)
            if isinstance(box, Box):
                step.detail.update(
                    digest=box.digest, kernel=box.kernel, size_mb=round(box.path.stat().st_size / 1e6, 1)
                )
        return box

    def _provision(self, ready: RunningMachine, trials: Sequence[Trial]) -> dict[str, str]:
        """Install what the trials need; returns the packages that are installed, with their versions."""
        roles = list(dict.fromkeys([*ROLES, *(role for trial in trials for role in trial.load.roles)]))
        with recorded_step(self._folder, self._view, "provision", f"Install {', '.join(roles)}") as step:
            done = self._effects.provision([ready.host], roles, self._folder.path / "machine", step.watcher)
            packages = done.packages.get(ready.host.name, {})
            step.detail.update(roles=roles, ok=done.ok, changed=done.changed, packages=packages, facts=done.facts)
        return packages

    def _note_arms(self, trials: Sequence[Trial], ready: RunningMachine, packages: dict[str, str]) -> None:
        """Each arm keeps what it was recorded on: with several machines, the manifest's own entries are of the last."""
        before = self._folder.manifest
        on = {"box": before["box"], "machine": ready.facts, "packages": packages}
        self._folder.update(arms={**before.get("arms", {}), **{trial.arm.name: on for trial in trials}})

    def _trial(self, ready: RunningMachine, trial: Trial) -> None:
        """Attempt the trial until it is usable, cannot get better, or its attempts are used up.

        Raises the last attempt's TrialError, RemoteError or TraceError: then something is wrong with the machine. What
        the guest itself calls a failed step (the load that ended early) fails this trial alone, not those after it.
        """
        allowed = trial.arm.experiment.trials.attempts
        for number in range(1, allowed + 1):
            last = number == allowed
            try:
                found = self._attempt(ready, trial, number)
            except (TrialError, RemoteError, TraceError) as error:
                if last and not isinstance(error, GuestError):
                    raise
                self._warn(f"{trial.name}, attempt {number} of {allowed}: {error}")
                continue
            if found.ok:
                return
            again = found.retryable and not last
            self._warn(f"{trial.name} may not be used: {found.reason}" + ("; recording it again" if again else ""))
            if not again:
                return

    def _attempt(self, ready: RunningMachine, trial: Trial, number: int) -> Verdict:
        self._set_aside(trial)
        place = self._folder.trial_dir(trial.name)
        title = f"Record {trial.name}" + (f", attempt {number}" if number > 1 else "")
        with suppress(VerdictError), recorded_step(self._folder, self._view, f"trial:{trial.name}", title) as step:
            made = self._effects.attempt(ready.host, trial, place, number, ready.facts, step.watcher)
            step.outputs += files_of(place)
            step.detail.update(made.detail)
            if not made.verdict.ok:
                raise VerdictError(made.verdict.reason)
        return made.verdict

    def _set_aside(self, trial: Trial) -> None:
        """Keep what an earlier attempt left under `attempts/`, so that nothing recorded is lost or mixed up."""
        place = self._folder.trial_dir(trial.name)
        if not place.is_dir():
            return
        kept = (self._folder.path / "attempts" / f"{trial.name}-{number}" for number in count(1))
        target = next(path for path in kept if not path.exists())
        target.parent.mkdir(exist_ok=True)
        place.rename(target)
        self._folder.finish(f"attempt:{target.name}", files_of(target))

    def _warn(self, text: str) -> None:
        self._folder.event("warning", text=text)
        self._view.say("warn", text)


def _ssh(host: Host) -> str:
    """How a person gets in."""
    known = shlex.quote(f'UserKnownHostsFile="{host.known_hosts_path}"')  # ssh takes it apart at spaces once more
    return f"ssh -i {shlex.quote(str(host.key_path))} -o {known} -p {host.port} {host.user}@{host.address}"

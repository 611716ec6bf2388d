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

ROLES = ("perf",)  # the Ansible roles of every trial; a load adds its own


@dataclass(frozen=True)
class RunningMachine:
    """A machine that is up: how to reach it, which box it runs, and its facts (kernel, CPUs, ...)."""

    machine: Machine
    host: Host
    box: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Effects:
    """The functions that act outside the run folder; tests replace them."""

    build_box: Callable[[str, Watcher], Box | str] = lambda name, watcher: boxes.build(boxes.recipe(name), watcher)
    make_machine: Callable[[MachineSpec, Box | str, Path, str], Machine] = lambda spec, *rest: machines.KINDS[
        spec.provider
    ](spec, *rest)
    provision: Callable[..., ProvisionReport] = provision.apply
    make_attempt: Callable[..., Attempt] = attempt.make


class Recorder:
    """Records those trials of one machine that are not done."""

    def __init__(self, folder: RunFolder, view: View, *, keep: bool = False, effects: Effects | None = None) -> None:
        self._folder, self._view, self._keep = folder, view, keep
        self._effects = effects or Effects()

    def clear(self) -> None:
        """Remove machines of this run folder that a killed process left up; no process uses them any more."""
        for entry in machines.left_behind():
            if self._folder.path in Path(entry.folder).parents:
                with self._view.step(f"down:{entry.domain}", f"Remove {entry.domain}, left by a killed process"):
                    machines.remove(entry)

    def record(self, group: Sequence[Trial]) -> None:
        """Record every trial of `group` that is not done; bring up no machine when all are done.

        Mark a trial failed and go on if its recording may not be used. Raises HostError if no machine comes up,
        ProvisionError if the packages cannot be installed, and TrialError, RemoteError or TraceError if a trial
        cannot be carried out.
        """
        todo = [trial for trial in group if not self._folder.is_done(f"trial:{trial.name}")]
        if not todo:
            self._view.show("info", f"all {len(group)} trials are recorded already")
            return
        with self._machine(todo[0].machine) as running:
            packages = self._provision(running, todo)
            self._record_arms(todo, running, packages)
            for trial in todo:
                self._trial(running, trial)

    @contextmanager
    def _machine(self, spec: MachineSpec) -> Iterator[RunningMachine]:
        running = self._up_or_fallback(spec)
        try:
            yield running
        finally:
            if self._keep:
                self._view.show("warn", f"the machine stays up: {ssh_command(running.host)}; `harness down` removes it")
            else:
                self._take_down(running)

    def _take_down(self, running: RunningMachine) -> None:
        """Take the machine down, even if the step cannot be shown or recorded (closed terminal, full disk)."""
        with defer_stop_signals(), ExitStack() as down:
            down.callback(running.machine.down)
            with recorded_step(self._folder, self._view, f"down:{running.box}", "Take the machine down"):
                down.pop_all().close()

    def _up_or_fallback(self, spec: MachineSpec) -> RunningMachine:
        """Bring up the requested box or, with a warning, the fallback; a run that used the fallback keeps using it."""
        earlier_reason = (self._folder.manifest.get("box") or {}).get("fallback_reason")
        if spec.fallback and earlier_reason:
            return self._up(spec, spec.fallback, earlier_reason)
        try:
            return self._up(spec, spec.box, None)
        except HostError as error:
            if not spec.fallback:
                raise
            reason = str(error)
        self._warn(f"box {spec.box} is unavailable: {reason}")
        self._warn(f"going on with the fallback {spec.fallback}, as the experiment allows")
        return self._up(spec, spec.fallback, reason)

    def _up(self, spec: MachineSpec, name: str, fallback_reason: str | None) -> RunningMachine:
        box = self._box(name)
        facts = {"name": name, "digest": box.digest, "kernel": box.kernel} if isinstance(box, Box) else {"name": name}
        self._folder.update(box={**facts, "asked": spec.box, "fallback_reason": fallback_reason})
        used = spec.model_copy(update={"box": name, "fallback": None})
        folder = self._folder.path / "machine" / name.replace("/", "-")
        machine = self._effects.make_machine(used, box, folder, "guest")
        try:
            with recorded_step(self._folder, self._view, f"up:{name}", f"Bring up {name}") as step:
                hosts = machine.up(step.watcher)
                step.detail.update(machine.facts())
            self._folder.update(machine=machine.facts())
        except BaseException:  # it may be up nevertheless: a signal came after `up`, or the manifest was not written
            with defer_stop_signals():
                machine.down()
            raise
        return RunningMachine(machine, hosts[0], name, machine.facts())

    def _box(self, name: str) -> Box | str:
        if "/" in name:  # a ready-made box, which Vagrant downloads itself
            return name
        with recorded_step(self._folder, self._view, f"box:{name}", f"Get the box {name}") as step:
            box = self._effects.build_box(name, step.watcher)
            if isinstance(box, Box):
                step.detail.update(
                    digest=box.digest, kernel=box.kernel, size_mb=round(box.path.stat().st_size / 1e6, 1)
                )
        return box

    def _provision(self, running: RunningMachine, trials: Sequence[Trial]) -> dict[str, str]:
        """Install what the trials need; return the installed packages with their versions."""
        roles = list(dict.fromkeys([*ROLES, *(role for trial in trials for role in trial.load.roles)]))
        with recorded_step(self._folder, self._view, "provision", f"Install {', '.join(roles)}") as step:
            report = self._effects.provision([running.host], roles, self._folder.path / "machine", step.watcher)
            packages = report.packages.get(running.host.name, {})
            step.detail.update(roles=roles, ok=report.ok, changed=report.changed, packages=packages, facts=report.facts)
        return packages

    def _record_arms(self, trials: Sequence[Trial], running: RunningMachine, packages: dict[str, str]) -> None:
        """Store box, machine and packages under `arms`; the top-level `box` and `machine` are the last ones."""
        manifest = self._folder.manifest
        recorded_on = {"box": manifest["box"], "machine": running.facts, "packages": packages}
        self._folder.update(arms={**manifest.get("arms", {}), **{trial.arm.name: recorded_on for trial in trials}})

    def _trial(self, running: RunningMachine, trial: Trial) -> None:
        """Repeat the trial until its recording is usable, its failure would repeat, or no attempt is left.

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
                continue
            if verdict.ok:
                return
            again = verdict.retryable and not last
            self._warn(f"{trial.name} may not be used: {verdict.reason}" + ("; recording it again" if again else ""))
            if not again:
                return

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
            if not result.verdict.ok:
                raise VerdictError(result.verdict.reason)
        return result.verdict

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
        self._folder.event("warning", text=text)
        self._view.show("warn", text)


def ssh_command(host: Host) -> str:
    """Return the command with which a person logs in to the machine."""
    known = shlex.quote(f'UserKnownHostsFile="{host.known_hosts_path}"')  # ssh splits it at spaces once more
    return f"ssh -i {shlex.quote(str(host.key_path))} -o {known} -p {host.port} {host.user}@{host.address}"

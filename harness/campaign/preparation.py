"""A machine that is ready to be recorded: its box, its packages, and the machine that an earlier run provisioned.

A machine is provisioned once, shut down and kept. Every run, also the one that provisioned it, records on a machine
that was freshly booted from what was kept, so that recordings of the first run and of later ones are comparable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from harness.boxes import Box, provisioned
from harness.boxes.kernel import BoxKernelError
from harness.boxes.provisioned import ProvisionedBox, Provisioning
from harness.campaign import needs
from harness.campaign.effects import Effects
from harness.campaign.needs import Needs
from harness.campaign.steps import recorded_step
from harness.errors import DamagedBoxError, HostError, MachineError, RemoteError
from harness.guest.ansible_events import ProvisionReport
from harness.guest.remote import Host
from harness.interrupt import defer_stop_signals
from harness.machines import Machine
from harness.plan import Trial
from harness.progress import View
from harness.spec import MachineSpec, kernels, position
from harness.store import RunFolder
from harness.store.clock import now


@dataclass(frozen=True)
class RunningMachine:
    """A machine that is up: how to reach it, which box it runs, its facts (kernel, CPUs, ...) and its packages."""

    machine: Machine
    host: Host
    box: str
    facts: dict[str, Any]
    packages: dict[str, str]


class Preparation:
    """Brings up the machines of one run. With `provision_anew`, machines that earlier runs kept are not used."""

    def __init__(self, folder: RunFolder, view: View, effects: Effects, *, provision_anew: bool = False) -> None:
        self._folder, self._view, self._effects = folder, view, effects
        self._provision_anew = provision_anew
        self._engine_answers = False  # as far as it was asked
        self._made: set[str] = set()  # the keys of the machines that this run kept
        self._started: list[Machine] = []  # entered before `up`, removed by `take_down` or `leave_up`
        self._left: list[Machine] = []  # of the boot before, which are to outlive the run unless it boots another

    def bring_up(self, spec: MachineSpec, trials: Sequence[Trial]) -> RunningMachine:
        """Bring up the requested box or, with a warning, the fallback; a run that used the fallback keeps using it.

        After an error or a stop signal a machine may be up, so the caller calls `take_down`. Raises HostError if no
        machine comes up, also because its hypervisor does not answer, or the kept one is damaged, ProvisionError if
        the packages cannot be installed.
        """
        if not self._engine_answers:  # asked before a box is downloaded and built for minutes, or a fallback is tried
            self._effects.check_engine(spec)
            self._engine_answers = True
        needed = needs.of(trials)
        earlier_reason = (self._folder.manifest.get("box") or {}).get("fallback_reason")
        if spec.fallback and earlier_reason:
            return self._ready(spec, spec.fallback, earlier_reason, needed)
        try:
            return self._ready(spec, spec.box, None, needed)
        except HostError as error:
            if not spec.fallback or isinstance(error, DamagedBoxError):
                raise
            reason = str(error)
            self.take_down()
        self.warn(f"box {spec.box} is unavailable: {reason}")
        self.warn(f"going on with the fallback {spec.fallback}, as the experiment allows")
        return self._ready(spec, spec.fallback, reason, needed)

    def take_down(self) -> None:
        """Take down every machine that was started and is not left up; a stop signal waits until one is down.

        A machine is tried once: what cannot be removed raises MachineError, and stays in the register of machines.
        """
        while self._started:
            with defer_stop_signals():  # a signal before it defers leaves the machine in the list
                self._started.pop().down()

    def leave_up(self) -> bool:
        """Let the machine outlive the run; return whether there is one."""
        self._left, self._started = self._started, []
        return bool(self._left)

    def take_back(self) -> bool:
        """Let the machine that was left up be taken down; return whether there is one."""
        self._started, self._left = [*self._started, *self._left], []
        return bool(self._started)

    def warn(self, text: str) -> None:
        """Show a warning and record it in the run's events."""
        self._folder.event("warning", text=text)
        self._view.show("warn", text)

    def _ready(self, spec: MachineSpec, name: str, fallback_reason: str | None, needed: Needs) -> RunningMachine:
        used = spec.model_copy(update={"box": name, "fallback": None})
        box = self._box(used)
        facts = _facts(name, box)
        self._folder.update(box={**facts, "asked": spec.box, "fallback_reason": fallback_reason})
        if reason := _why_not_kept(used, box):
            self._view.show("info", f"this machine is provisioned in every run, because {reason}")
            return self._up_and_provision(used, box, needed)
        assert isinstance(box, Box)
        if kept := self._kept(box, needed):
            packages = self._use(kept)
            with _hint_to_provision_anew():
                return self._up(used, kept, packages)
        return self._provision_and_keep(used, box, needed)

    def _box(self, spec: MachineSpec) -> Box | str:
        name, kernel = spec.box, spec.kernel
        if "/" in name:  # a ready-made box, which Vagrant downloads itself
            return name
        other = "" if kernel is None or isinstance(kernel, str) else f" with the kernel {kernel}"
        with recorded_step(self._folder, self._view, f"box:{name}", f"Get the box {name}{other}") as step:
            with self._position_of(kernel):
                box = self._effects.build_box(spec, step.watcher)
            if isinstance(box, Box):
                step.detail.update(
                    digest=box.digest, kernel=box.kernel, size_mb=round(box.path.stat().st_size / 1e6, 1)
                )
        return box

    @contextmanager
    def _position_of(self, kernel: Any) -> Iterator[None]:
        """Say, of a kernel that no box can be built with, where the experiment file names it."""
        try:
            yield
        except BoxKernelError as error:
            experiment = self._folder.experiment
            swept = [kernels.as_form(value) for value in experiment.sweep.get("machine.kernel", ())]
            path = ("sweep", "machine.kernel", swept.index(kernel)) if kernel in swept else ("machine", "kernel")
            error.where = position(experiment, path) or error.where
            raise

    def _kept(self, box: Box, needed: Needs) -> ProvisionedBox | None:
        """Return the machine that an earlier run kept, None when there is none or a new one is wanted."""
        if self._provision_anew and provisioned.key(box.digest, needed.roles, needed.variables) not in self._made:
            return None
        return self._effects.find_provisioned(box, needed)

    def _use(self, kept: ProvisionedBox) -> dict[str, str]:
        """Record what an earlier run installed, as if this run had; return the packages."""
        made = kept.provisioning
        listed = ", ".join(f"{package} {version}" for package, version in made.packages.items())
        title = f"Use the machine provisioned on {made.made[:10]}: {listed or ', '.join(made.roles)}"
        with recorded_step(self._folder, self._view, "provision", title) as step:
            step.detail.update(
                roles=list(made.roles), ok=made.ok, changed=made.changed, packages=made.packages, facts=made.facts
            )
            step.detail.update(reused=made.made)  # the time when an earlier run provisioned it
        self._record_kept(kept)
        return made.packages

    def _record_kept(self, kept: ProvisionedBox) -> None:
        made = kept.provisioning
        used = {
            "digest": kept.digest,
            "image_sha256": kept.image_sha256,
            "roles": list(made.roles),
            "packages": made.packages,
            "made": made.made,
            **({"variables": made.variables} if made.variables else {}),
        }
        self._folder.update(box={**self._folder.manifest["box"], "provisioned": used})

    def _provision_and_keep(self, spec: MachineSpec, box: Box, needed: Needs) -> RunningMachine:
        """Provision a machine, keep it, and bring up what was kept; a run is not lost because it cannot be kept."""
        if kept := self._make(spec, box, needed):
            with self._keeping_may_fail():
                return self._up_kept(spec, kept)
            with suppress(HostError):  # then it stays in the cache, and `harness box prune` removes it
                self._effects.discard_provisioned(kept)
        return self._up_and_provision(spec, box, needed)

    def _up_kept(self, spec: MachineSpec, kept: ProvisionedBox) -> RunningMachine:
        """Bring up a machine that this run has kept; with `provision_anew` it takes the place of older ones."""
        running = self._up(spec, kept, kept.provisioning.packages)
        self._record_kept(kept)
        if self._provision_anew:
            self._effects.discard_superseded(kept)
        return running

    def _make(self, spec: MachineSpec, box: Box, needed: Needs) -> ProvisionedBox | None:
        """Provision a machine on the host's clock, which is quicker than the counted one, shut it down and keep it.

        What is kept serves every run, so that the kernel gets no words of this one.
        """
        if not self._has_space():
            return None
        # Now: the files of Ansible may change while it is provisioned.
        key = provisioned.key(box.digest, needed.roles, needed.variables)
        plain = spec.model_copy(update={"clock": "host", "cpu_speed": None, "cmdline": ()})
        machine, hosts = self._start(plain, box, "to-provision", f"Bring up {box.name} to provision it")
        report = self._provision(hosts[0], needed)
        kept = self._keep(machine, hosts[0], box, key, _provisioning(box, needed, report, hosts[0].name))
        self.take_down()
        return kept

    def _has_space(self) -> bool:
        with self._keeping_may_fail():
            self._effects.check_space_to_keep()
            return True
        return False

    def _keep(self, machine: Machine, host: Host, box: Box, key: str, made: Provisioning) -> ProvisionedBox | None:
        title = "Keep the provisioned machine for later runs"
        with self._keeping_may_fail(), recorded_step(self._folder, self._view, f"keep:{box.name}", title) as step:
            kept = self._effects.keep_provisioned(machine.facts(), host, box, key, made, step.watcher)
            step.detail.update(digest=kept.digest, image_sha256=kept.image_sha256)
            self._made.add(kept.digest)
            return kept
        return None

    @contextmanager
    def _keeping_may_fail(self) -> Iterator[None]:
        """Turn an error of keeping a machine into a warning: the run goes on with a machine of its own."""
        try:
            yield
        except (HostError, RemoteError) as error:
            self.take_down()
            self.warn(f"the provisioned machine cannot be kept for later runs: {error}")
            self.warn("going on with a machine that is provisioned for this run alone")

    def _up_and_provision(self, spec: MachineSpec, box: Box | str, needed: Needs) -> RunningMachine:
        running = self._up(spec, box, {})
        packages = self._provision(running.host, needed).packages.get(running.host.name, {})
        return replace(running, packages=packages)

    def _up(self, spec: MachineSpec, box: Box | str, packages: dict[str, str]) -> RunningMachine:
        machine, hosts = self._start(spec, box, "up", f"Bring up {spec.box}")
        return RunningMachine(machine, hosts[0], spec.box, machine.facts(), packages)

    def _start(self, spec: MachineSpec, box: Box | str, step_kind: str, title: str) -> tuple[Machine, list[Host]]:
        folder = self._folder.path / "machine" / spec.box.replace("/", "-")
        machine = self._effects.make_machine(spec, box, folder, "guest")
        self._started.append(machine)
        with recorded_step(self._folder, self._view, f"{step_kind}:{spec.box}", title, adds_up=True) as step:
            hosts = machine.up(step.watcher)
            step.detail.update(machine.facts())
        self._folder.update(machine=machine.facts())
        return machine, hosts

    def _provision(self, host: Host, needed: Needs) -> ProvisionReport:
        roles, variables, work = list(needed.roles), needed.variables, self._folder.path / "machine"
        title = f"Install {', '.join([*roles, *variables.get('harness_packages', ())])}"
        with recorded_step(self._folder, self._view, "provision", title) as step:
            report = self._effects.provision([host], roles, work, step.watcher, variables)
            packages = report.packages.get(host.name, {})
            step.detail.update(roles=roles, ok=report.ok, changed=report.changed, packages=packages, facts=report.facts)
        return report


@contextmanager
def _hint_to_provision_anew() -> Iterator[None]:
    """Say, of a kept machine that does not come up, how it is made anew."""
    try:
        yield
    except MachineError as error:
        anew = "`harness run --provision` makes the machine anew"
        error.hint = f"{error.hint}; {anew}" if error.hint else anew
        raise


def _facts(name: str, box: Box | str) -> dict[str, Any]:
    """Return the manifest's entry of a box; `lock` and `kernel_source` are there if it has one."""
    if not isinstance(box, Box):
        return {"name": name}
    facts = {"name": name, "digest": box.digest, "kernel": box.kernel}
    origin = {"kernel_source": box.kernel_source, "lock": box.lock}
    return facts | {key: value for key, value in origin.items() if value}


def _provisioning(box: Box, needed: Needs, report: ProvisionReport, host: str) -> Provisioning:
    packages, facts = report.packages.get(host, {}), report.facts
    return Provisioning(
        box.digest, needed.roles, dict(needed.variables), packages, facts, report.ok, report.changed, now()
    )


def _why_not_kept(spec: MachineSpec, box: Box | str) -> str | None:
    """Return why a machine of this kind is provisioned in every run; None if it can be kept."""
    if spec.hypervisor != "libvirt":
        return "only machines of libvirt are kept for later runs, not those of VirtualBox"
    if not isinstance(box, Box):
        return f"{box} is a ready-made box: only machines of boxes built here are kept for later runs"
    return None

"""A busy host: the warning before a run, and the wait for calm before a trial is recorded again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.campaign.steps import recorded_step
from harness.campaign.verdict import HOST_SHARE, Verdict
from harness.machines import guest_clock
from harness.noise.calm import Wait, wait_for_calm
from harness.noise.host_use import HostUse
from harness.plan import Trial
from harness.progress import View
from harness.spec import MachineSpec
from harness.store import RunFolder

LOOK_S = 1.0
BOTH = "each takes CPU time from the others, which counts as the host's share"
REFUSED = "the recordings may be refused (verdict.max_host_share)"


class BusyHost:
    """Looks at the host of a campaign; the view and the run folder's events have what it finds.

    `measure` takes seconds and the ids of processes to leave out, as `harness.noise.host_use.measure` does.
    """

    def __init__(self, folder: RunFolder, view: View, measure: Callable[..., HostUse]) -> None:
        self._folder, self._view, self._measure = folder, view, measure

    def warn(self, trials: Sequence[Trial], kvm_works: bool | None) -> None:
        """Warn if the host leaves too little room for the machines of these trials; measure for a second.

        `kvm_works`: whether a guest has booted under KVM here, None if that was not tried; it decides on clocks.
        """
        if not trials:
            return
        use = self._measure(LOOK_S, ())
        if use.leaves_room(max(trial.machine.cpus for trial in trials)):
            return
        taken = use.text.replace(" taken", f" of its {use.cpus} CPUs taken", 1)
        self._show("warn", f"the host is busy: {taken}; {_consequence(trials, kvm_works)}", use)

    def name_others(self, machines: Sequence[str], when: str) -> None:
        """Say, if there are any, which other machines of harness run on this host; `when` begins the sentence."""
        if machines:
            text = f"{when}: {', '.join(machines)}; {BOTH}"
            self._folder.event("warning", text=text, other_machines=list(machines))
            self._view.show("warn", text)

    def wait(self, trial: Trial, attempt: int, own: Sequence[int]) -> None:
        """Wait for calm before `trial` is recorded again, at most `trials.wait_for_calm_s`; then show how it ended.

        `attempt` is the number of the failed one; `own` are the processes of the guest, which do not count.
        """
        limit_s = trial.arm.experiment.trials.wait_for_calm_s
        if limit_s == 0:
            return
        name = f"calm:{trial.name}-{attempt}"
        with recorded_step(self._folder, self._view, name, "Wait until the host is calm") as step:
            ended = wait_for_calm(
                limit_s, trial.machine.cpus, lambda seconds: self._measure(seconds, own), step.watcher
            )
            step.detail.update(calm=ended.calm, **_facts(ended.use))
        self._show("info" if ended.calm else "warn", _outcome(ended), ended.use)

    def _show(self, kind: str, text: str, use: HostUse | None) -> None:
        self._folder.event({"warn": "warning"}.get(kind, kind), text=text, **_facts(use))
        self._view.show(kind, text)


def kept_waiting(verdict: Verdict) -> bool:
    """Return whether a recording failed because the host kept the guest waiting, as was measured."""
    return any(check.name == HOST_SHARE and check.value is not None for check in verdict.failed)


def _consequence(trials: Sequence[Trial], kvm_works: bool | None) -> str:
    """Return what a busy host does to these trials."""
    if any(trial.arm.experiment.verdict.max_host_share is not None for trial in trials):
        return REFUSED
    clocks = {clock for trial in trials for clock in _clocks(trial.machine, kvm_works)}
    if clocks == {"counted"}:
        return "the guest's clock is counted, so only the run's duration suffers"
    return REFUSED if clocks == {"host"} else f"{REFUSED} where the guest's clock is not counted"


def _clocks(spec: MachineSpec, kvm_works: bool | None) -> set[str]:
    """Return the clocks that the machine may choose when it comes up: two if that depends on a KVM not yet tried."""
    if spec.hypervisor == "virtualbox":
        accelerators = ["virtualbox"]
    elif spec.accelerator != "auto":
        accelerators = [spec.accelerator]
    else:
        accelerators = [name for name, never in (("kvm", False), ("tcg", True)) if kvm_works is not never]
    return {guest_clock.choose(spec, accelerator).kind for accelerator in accelerators}


def _outcome(ended: Wait) -> str:
    if ended.calm:
        return f"the host is calm after {ended.seconds:.0f} s; recording again"
    still = f" ({ended.use.text})" if ended.use else ""
    return f"the host is still busy after {ended.seconds:.0f} s{still}; recording again nevertheless"


def _facts(use: HostUse | None) -> dict[str, object]:
    return {"taken_share": round(use.taken_share, 4), "busiest": [list(item) for item in use.busiest]} if use else {}

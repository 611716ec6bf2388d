"""A busy host: what is said of it before a run, and the wait for calm before a trial is recorded again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.campaign.steps import recorded_step
from harness.campaign.verdict import HOST_SHARE, Verdict
from harness.noise.calm import Wait, wait_for_calm
from harness.noise.host_use import HostUse
from harness.plan import Trial
from harness.progress import View
from harness.store import RunFolder

LOOK_S = 1.0


class BusyHost:
    """Looks at the host of a campaign; the view and the run folder's events have what it finds.

    `measure` takes seconds and the ids of processes to leave out, as `harness.noise.host_use.measure` does.
    """

    def __init__(self, folder: RunFolder, view: View, measure: Callable[..., HostUse]) -> None:
        self._folder, self._view, self._measure = folder, view, measure

    def warn(self, trials: Sequence[Trial]) -> None:
        """Warn if the host leaves too little room for the machines of these trials; measure for a second."""
        if not trials:
            return
        use = self._measure(LOOK_S, ())
        if use.leaves_room(max(trial.machine.cpus for trial in trials)):
            return
        taken = use.text.replace(" taken", f" of its {use.cpus} CPUs taken", 1)
        self._show("warn", f"the host is busy: {taken}; {_consequence(trials)}", use)

    def wait(self, trial: Trial, attempt: int, own: Sequence[int]) -> None:
        """Wait for calm before `trial` is recorded again, at most `trials.wait_for_calm_s`; then say how it ended.

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
    """Return whether a recording failed because the host kept the guest waiting."""
    return any(check.name == HOST_SHARE for check in verdict.failed)


def _consequence(trials: Sequence[Trial]) -> str:
    """Return what a busy host does to these trials; a machine without a set clock chooses one when it comes up."""
    judged = [_may_be_refused(trial) for trial in trials]
    if all(refused is False for refused in judged):
        return "the guest's clock is counted, so only the run's duration suffers"
    if any(judged):
        return "the recordings may be refused (verdict.max_host_share)"
    return "the recordings may be refused (verdict.max_host_share) unless the guest's clock will be counted"


def _may_be_refused(trial: Trial) -> bool | None:
    """Return whether a busy host may spoil the trial; None where that depends on the clock that the machine chooses."""
    if trial.machine.clock == "host" or trial.arm.experiment.verdict.max_host_share is not None:
        return True
    return False if trial.machine.clock == "counted" else None


def _outcome(ended: Wait) -> str:
    if ended.calm:
        return f"the host is calm after {ended.seconds:.0f} s; recording again"
    still = f" ({ended.use.text})" if ended.use else ""
    return f"the host is still busy after {ended.seconds:.0f} s{still}; recording again nevertheless"


def _facts(use: HostUse | None) -> dict[str, object]:
    return {"taken_share": round(use.taken_share, 4), "busiest": [list(item) for item in use.busiest]} if use else {}

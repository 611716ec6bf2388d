"""Observe the host while a trial is recorded: begin, end, and the facts for trial.json under `host`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.noise.clocks import elapsed_s, read_clocks, step_s, suspended_s
from harness.noise.frequency import SYS, read_frequency
from harness.noise.host_use import PROC, HostSample, between, sample
from harness.noise.pressure import load_averages, stalled_us

UNSEEN = "the beginning or the end of the recording was not seen on the guest's console"
NO_SCHEDSTAT = "the host does not show how long the guest's CPU waited (no /proc/PID/schedstat of its threads)"
KEYS = (
    *("seconds", "guest_seconds", "vcpu_run_s", "vcpu_wait_s", "share", "share_reason", "steal_share"),
    *("pressure_share", "taken_share", "stolen_share", "loadavg_before", "loadavg_after"),
    *("frequency_before", "frequency_after", "top", "clock_step_s", "suspended_s", "phases_late_s"),
)


class VcpuTimes(Protocol):
    """How long a guest's vCPU threads ran, and wanted to run and waited, since they began."""

    @property
    def run_ns(self) -> int:
        """Time on a CPU of the host, summed over the threads."""

    @property
    def wait_ns(self) -> int:
        """Time in which a thread could run and had no CPU, summed over the threads."""


class GuestProcesses(Protocol):
    """The part of a guest's monitor that is needed here."""

    def cpu_times(self) -> VcpuTimes | None:
        """Return the times of the vCPU threads; None where the host does not show them."""

    def process_ids(self) -> Collection[int]:
        """Return the ids of the processes that run the guest; empty where they are not known."""

    def console_delay_s(self) -> float:
        """Return how much later than the guest wrote it a phase may be seen, in seconds."""


@dataclass(frozen=True)
class Moment:
    """Everything that is read at one end of a recording."""

    clocks: Mapping[str, float]
    vcpus: VcpuTimes | None
    stalled_us: int | None
    loadavg: list[float] | None
    frequency: Mapping[str, Any]
    use: HostSample


class Observation:
    """The host during one recording. `phase` takes the trial's phases; `facts` sums up what lay between them."""

    def __init__(self, guest: GuestProcesses, cpus: int, *, proc: Path = PROC, sys: Path = SYS) -> None:
        self._guest, self._cpus, self._proc, self._sys = guest, max(cpus, 1), proc, sys
        self._began: Moment | None = None
        self._ended: Moment | None = None

    def phase(self, name: str) -> None:
        """Take a phase of the trial: `recording` begins the observation, `recorded` ends it; others do nothing."""
        if name == "recording":
            self.begin()
        elif name == "recorded":
            self.end()

    def begin(self) -> None:
        """Begin, or begin again."""
        self._began, self._ended = self._now(), None

    def end(self) -> None:
        """End; only the first end counts, and none before the beginning."""
        if self._began is not None and self._ended is None:
            self._ended = self._now()

    def _now(self) -> Moment:
        """Read everything, what belongs exactly to the interval first: the list of processes takes milliseconds."""
        vcpus, clocks = self._guest.cpu_times(), read_clocks()
        proc = self._proc
        return Moment(clocks, vcpus, stalled_us(proc), load_averages(proc), read_frequency(self._sys), sample(proc))

    def facts(self, recording: Mapping[str, Any]) -> dict[str, Any]:
        """Return what trial.json has under `host`; whatever is unknown is None.

        `recording` is that part of guest.json. `share` is the mean over the vCPUs of the share of the recorded time in
        which they waited, `share_reason`: why there is none. `phases_late_s`: how late each end may have been seen,
        because the console was looked at so seldom. `pressure_share`: of the time, that in which some task
        of the host waited for a CPU. `taken_share`: of the host's CPUs, what others than this guest's processes took;
        `stolen_share`, a part of it, what a hypervisor below the host kept. `top`: the three names that took the most
        CPU time, in CPUs; processes of one name are added up. One that began and ended within the recording is missed:
        it counts under its parent's name, or with all others that nobody waited for as `short-lived processes`.
        """
        facts: dict[str, Any] = {**dict.fromkeys(KEYS), **_guest_facts(recording)}
        before, after = self._began, self._ended
        guest = recording.get("clock_before"), recording.get("clock_after")
        host = (before.clocks, after.clocks) if before and after else (None, None)
        facts["clock_step_s"] = {"host": step_s(*host), "guest": step_s(*guest)}
        facts["suspended_s"] = {"host": suspended_s(*host), "guest": suspended_s(*guest)}
        if before is None or after is None:
            return facts | {"share_reason": UNSEEN}
        seconds = after.clocks["boottime_s"] - before.clocks["boottime_s"]  # a suspended host's seconds are seconds
        return {
            **facts,
            "seconds": round(seconds, 3),
            **self._vcpu_facts(before, after, seconds),
            **self._use_facts(before, after, seconds),
            "pressure_share": _pressure_share(before, after, seconds),
            "loadavg_before": before.loadavg,
            "loadavg_after": after.loadavg,
            "frequency_before": before.frequency,
            "frequency_after": after.frequency,
            "phases_late_s": round(self._guest.console_delay_s(), 3),
        }

    def _vcpu_facts(self, before: Moment, after: Moment, seconds: float) -> dict[str, Any]:
        if before.vcpus is None or after.vcpus is None:
            return {"share_reason": NO_SCHEDSTAT}
        run_s = (after.vcpus.run_ns - before.vcpus.run_ns) / 1e9
        wait_s = (after.vcpus.wait_ns - before.vcpus.wait_ns) / 1e9
        return {
            "vcpu_run_s": round(run_s, 3),
            "vcpu_wait_s": round(wait_s, 3),
            "share": _share(wait_s, seconds * self._cpus),
        }

    def _use_facts(self, before: Moment, after: Moment, seconds: float) -> dict[str, Any]:
        own = [pid for pid in self._guest.process_ids() if pid in after.use.processes]
        use = between(before.use, after.use, own, seconds)
        return {
            "taken_share": round(use.taken_share, 4) if own else None,  # else the guest itself would be in it
            "stolen_share": round(use.stolen_share, 4),
            "top": [[name, cpus] for name, cpus in use.busiest],
        }


def _guest_facts(recording: Mapping[str, Any]) -> dict[str, Any]:
    """Return the guest's seconds, and the share of its CPU time that its hypervisor did not give it, as it counted."""
    seconds = elapsed_s(recording.get("clock_before"), recording.get("clock_after"))
    before, after = recording.get("cpu_ticks_before") or {}, recording.get("cpu_ticks_after") or {}
    ticks = {name: after[name] - before.get(name, 0) for name in after}
    total = sum(ticks.values())
    return {
        "guest_seconds": None if seconds is None else round(seconds, 3),
        "steal_share": _share(ticks.get("steal", 0), total) if total > 0 else None,
    }


def _pressure_share(before: Moment, after: Moment, seconds: float) -> float | None:
    if before.stalled_us is None or after.stalled_us is None:
        return None
    return _share((after.stalled_us - before.stalled_us) / 1e6, seconds)


def _share(part: float, whole: float) -> float:
    """Return part / whole between 0 and 1; the two ends of an interval are not read at exactly the same moment."""
    return round(min(1.0, max(0.0, part / whole)), 5) if whole > 0 else 0.0

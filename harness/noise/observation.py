"""Observe the host while a trial is recorded: begin, end, and the facts for trial.json under `host`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.noise.clocks import Clocks, elapsed_s, read_clocks, step_s, suspended_s
from harness.noise.frequency import SYS, read_frequency
from harness.noise.host_use import PROC, HostSample, between, sample
from harness.noise.machine_processes import others
from harness.noise.pause import paused_s
from harness.noise.pressure import load_averages, stalled_us

END_NOT_SEEN = "the beginning or the end of the recording was not seen on the guest's console in time"
END_NOT_READ = "at the beginning or the end of the recording, the host did not say how long the guest's CPU had waited"
MISSED = (END_NOT_SEEN, END_NOT_READ)  # another attempt may measure it
NO_SCHEDSTAT = "the host does not show how long the guest's CPU waited (no /proc/PID/schedstat of its threads)"
KEYS = (
    *("seconds", "guest_seconds", "vcpu_run_s", "vcpu_wait_s", "share", "share_reason", "steal_share"),
    *("pressure_share", "taken_share", "stolen_share", "loadavg_before", "loadavg_after"),
    *("frequency_before", "frequency_after", "top", "clock_step_s", "suspended_s", "paused_s", "phases_late_s"),
    *("troubles", "other_machines"),
)


class VcpuTimes(Protocol):
    """How long a guest's vCPU threads ran, and wanted to run and waited, since they began."""

    @property
    def run_ns(self) -> int:
        """Time on a CPU of the host, summed over the threads."""

    @property
    def wait_ns(self) -> int:
        """Time in which a thread could run and had no CPU, summed over the threads."""


class Trouble(Protocol):
    """A time in which a machine stood still (`paused`), or its hypervisor did not answer (`unknown`)."""

    @property
    def state(self) -> str:
        """`paused` or `unknown`."""

    @property
    def why(self) -> str:
        """What happened, as a sentence."""

    @property
    def since(self) -> float:
        """When it was seen first, by CLOCK_MONOTONIC."""

    @property
    def until(self) -> float:
        """When it was seen last."""


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
    """Everything that is read at one end of a recording; `late_s`: how late that may have been."""

    clocks: Mapping[str, float]
    vcpus: VcpuTimes | None
    stalled_us: int | None
    loadavg: list[float] | None
    frequency: Mapping[str, Any]
    use: HostSample
    late_s: float
    other_machines: list[str]


class Observation:
    """The host during one recording. `phase` takes the trial's phases; `facts` sums up what lay between them.

    `name` is the guest's machine; `troubles` are those that were seen of it until now, also before the recording.
    """

    def __init__(
        self,
        guest: GuestProcesses,
        cpus: int,
        *,
        name: str | None = None,
        troubles: Callable[[], Iterable[Trouble] | None] = tuple,
        proc: Path = PROC,
        sys: Path = SYS,
        clocks: Callable[[], Clocks] = read_clocks,
    ) -> None:
        self._guest, self._cpus, self._proc, self._sys, self._clocks = guest, max(cpus, 1), proc, sys, clocks
        self._name, self._troubles = name, troubles
        self._began: Moment | None = None
        self._ended: Moment | None = None

    def phase(self, name: str, late_s: float = 0.0) -> None:
        """Take a phase of the trial: `recording` begins the observation, `recorded` ends it; others do nothing.

        `late_s` is how much later than the guest wrote it the phase may have been seen.
        """
        if name == "recording":
            self.begin(late_s)
        elif name == "recorded":
            self.end(late_s)

    def begin(self, late_s: float = 0.0) -> None:
        """Begin, or begin again."""
        self._began, self._ended = self._now(late_s), None

    def end(self, late_s: float = 0.0) -> None:
        """End; only the first end counts, and none before the beginning."""
        if self._began is not None and self._ended is None:
            self._ended = self._now(late_s)

    @property
    def ends(self) -> tuple[Moment | None, Moment | None]:
        """The beginning and the end, as far as they were seen."""
        return self._began, self._ended

    @property
    def troubles(self) -> list[Trouble] | None:
        """The troubles so far; None where nobody watched for them all the time."""
        troubles = self._troubles()
        return None if troubles is None else list(troubles)

    def restore(self, began: Moment | None, ended: Moment | None, troubles: list[Trouble] | None) -> None:
        """Take over what an earlier process saw of the same recording."""
        self._began, self._ended, self._troubles = began, ended, lambda: troubles

    def _now(self, late_s: float) -> Moment:
        """Read everything, what belongs exactly to the interval first: the list of processes takes milliseconds.

        The first time, `cpu_times` asks the hypervisor for its threads, which may take long as well.
        """
        asked = self._clocks()
        vcpus, clocks = self._guest.cpu_times(), self._clocks()
        pressure, load, frequency = stalled_us(self._proc), load_averages(self._proc), read_frequency(self._sys)
        late_s += elapsed_s(asked, clocks) or 0.0
        use, other_machines = sample(self._proc), others(self._name, self._proc)
        return Moment(clocks, vcpus, pressure, load, frequency, use, late_s, other_machines)

    def facts(self, recording: Mapping[str, Any]) -> dict[str, Any]:
        """Return what trial.json has under `host`; whatever is unknown is None.

        `recording` is that part of guest.json. `share` is the mean over the vCPUs of the share of the recorded time in
        which they waited, `share_reason`: why there is none. `phases_late_s`: how late each end may have been seen,
        because the console was looked at so seldom or a call of the hypervisor took long. `pressure_share`: of the
        time, that in which some task of the host waited for a CPU. `taken_share`: of the host's CPUs, what others than
        this guest's processes took; `stolen_share`, a part of it, what a hypervisor below the host kept. `top`: the
        three names that took the most CPU time, in CPUs; processes of one name are added up. One that began and ended
        within the recording is missed: it counts under its parent's name, or with all others that nobody waited for as
        `short-lived processes`. `troubles`: state, sentence and seconds of what the hypervisor said meanwhile.
        `other_machines`: those of harness that ran on this host at either end.
        """
        facts: dict[str, Any] = {**dict.fromkeys(KEYS), **_guest_facts(recording)}
        before, after = self._began, self._ended
        guest = recording.get("clock_before"), recording.get("clock_after")
        host = (before.clocks, after.clocks) if before and after else (None, None)
        facts["clock_step_s"] = {"host": step_s(*host), "guest": step_s(*guest)}
        facts["suspended_s"] = {"host": suspended_s(*host), "guest": suspended_s(*guest)}
        if before is None or after is None:
            return facts | {"share_reason": END_NOT_SEEN}
        seconds = after.clocks["boottime_s"] - before.clocks["boottime_s"]  # a suspended host's seconds are seconds
        late_s = max(before.late_s, after.late_s) + self._guest.console_delay_s()
        facts |= self._vcpu_facts(before, after, seconds)
        return {
            **facts,
            "seconds": round(seconds, 3),
            "paused_s": self._paused_s(facts, elapsed_s(*host), _idle_s(recording), late_s),
            **self._use_facts(before, after, seconds),
            "pressure_share": _pressure_share(before, after, seconds),
            "loadavg_before": before.loadavg,
            "loadavg_after": after.loadavg,
            "frequency_before": before.frequency,
            "frequency_after": after.frequency,
            "phases_late_s": round(late_s, 3),
            "troubles": self._troubles_between(before.clocks, after.clocks),
            "other_machines": sorted({*before.other_machines, *after.other_machines}),
        }

    def _troubles_between(self, before: Clocks, after: Clocks) -> list[list[str | float]] | None:
        """Return each trouble that was seen between two readings, with how long of it lay there."""
        if (troubles := self.troubles) is None:
            return None
        began, ended = before["monotonic_s"], after["monotonic_s"]
        return [
            [trouble.state, trouble.why, round(min(trouble.until, ended) - max(trouble.since, began), 1)]
            for trouble in troubles
            if trouble.since < ended and trouble.until > began
        ]

    def _vcpu_facts(self, before: Moment, after: Moment, seconds: float) -> dict[str, Any]:
        if before.vcpus is None or after.vcpus is None:
            return {"share_reason": NO_SCHEDSTAT if before.vcpus is after.vcpus else END_NOT_READ}
        run_s = (after.vcpus.run_ns - before.vcpus.run_ns) / 1e9
        wait_s = (after.vcpus.wait_ns - before.vcpus.wait_ns) / 1e9
        return {
            "vcpu_run_s": round(run_s, 3),
            "vcpu_wait_s": round(wait_s, 3),
            "share": _share(wait_s, seconds * self._cpus),
        }

    def _paused_s(
        self, facts: Mapping[str, Any], seconds: float | None, idle_s: float | None, late_s: float
    ) -> float | None:
        """Return how long the machine was paused; None unless all is known, of one vCPU: several may share a thread."""
        run_s, wait_s = facts["vcpu_run_s"], facts["vcpu_wait_s"]
        if self._cpus > 1 or seconds is None or run_s is None or idle_s is None:
            return None
        return paused_s(seconds, run_s + wait_s, idle_s, late_s)

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
    return {
        "guest_seconds": None if seconds is None else round(seconds, 3),
        "steal_share": _ticks_share(recording, "steal"),
    }


def _idle_s(recording: Mapping[str, Any]) -> float | None:
    """Return how long the guest's CPU was idle, as the guest counted it."""
    seconds = elapsed_s(recording.get("clock_before"), recording.get("clock_after"))
    share = idle_share(recording)
    return None if seconds is None or share is None else seconds * share


def idle_share(recording: Mapping[str, Any]) -> float | None:
    """Return the share of the guest's CPU time that was idle, as its kernel counted it while it recorded."""
    return _ticks_share(recording, "idle", "iowait")


def switches_per_s(recording: Mapping[str, Any]) -> float | None:
    """Return the context switches a second that the guest's kernel counted while it recorded; None if it told none."""
    return _per_s(recording, "switches")


def connections_per_s(recording: Mapping[str, Any]) -> float | None:
    """Return the TCP connections a second that programs of the guest accepted while it recorded; None if not known."""
    return _per_s(recording, "connections")


def _per_s(recording: Mapping[str, Any], key: str) -> float | None:
    seconds = elapsed_s(recording.get("clock_before"), recording.get("clock_after"))
    count = recording.get(key)
    return None if count is None or not seconds else round(count / seconds, 2)


def _ticks_share(recording: Mapping[str, Any], *names: str) -> float | None:
    """Return the share of these kinds in all CPU ticks of the guest while it recorded; None if it counted none."""
    before, after = recording.get("cpu_ticks_before") or {}, recording.get("cpu_ticks_after") or {}
    ticks = {name: after[name] - before.get(name, 0) for name in after}
    total = sum(ticks.values())
    return _share(sum(ticks.get(name, 0) for name in names), total) if total > 0 else None


def _pressure_share(before: Moment, after: Moment, seconds: float) -> float | None:
    if before.stalled_us is None or after.stalled_us is None:
        return None
    return _share((after.stalled_us - before.stalled_us) / 1e6, seconds)


def _share(part: float, whole: float) -> float:
    """Return part / whole between 0 and 1; the two ends of an interval are not read at exactly the same moment."""
    return round(min(1.0, max(0.0, part / whole)), 5) if whole > 0 else 0.0

"""How much of the host's CPUs other processes take, and which: /proc/stat and /proc/PID/stat, read twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.noise.process_times import ProcessTimes, read_processes

PROC = Path("/proc")
NAMED = 3
MIN_CPUS = 0.05  # a process that takes less of a CPU is not named as the cause of anything
SHORT_LIVED = "short-lived processes"  # also those of another PID namespace, and interrupts
STOLEN = "other guests of this host's hypervisor"


@dataclass(frozen=True)
class HostSample:
    """The host's CPU time since boot in clock ticks: taken, stolen by a hypervisor below, all; and by process."""

    cpus: int
    busy: int
    stolen: int
    total: int
    processes: Mapping[int, ProcessTimes]


@dataclass(frozen=True)
class HostUse:
    """The use of the host's CPUs over `seconds`, without that of the excluded processes.

    `taken_share`: the share of all CPUs, 0 to 1, taken by others, `stolen_share` included: the part that a hypervisor
    below did not give. `busiest`: names and how many CPUs each took, the largest first.
    """

    seconds: float
    cpus: int
    taken_share: float
    stolen_share: float
    busiest: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """Return share and names, such as `38 % taken by cc1, python3`."""
        return (
            f"{self.taken_share:.0%}".replace("%", " %") + " taken" + (f" by {names}" if (names := self.names) else "")
        )

    @property
    def names(self) -> str:
        """Return the names worth naming, separated by commas; empty without one."""
        return name_busiest(self.busiest)

    def leaves_room(self, guest_cpus: int) -> bool:
        """Return whether the CPUs left are enough for a guest.

        It needs its vCPUs and half a CPU for the rest of QEMU (disk, console, timers), the harness and what wakes up on
        an idle host. A host that has fewer CPUs than that is calm when nine tenths of it are free.
        """
        needed = min(guest_cpus + 0.5, 0.9 * self.cpus)
        return self.cpus * (1 - self.taken_share) >= needed


def name_busiest(busiest: Collection[tuple[str, float]]) -> str:
    """Return the names of `busiest` that took at least 5 % of a CPU, separated by commas."""
    return ", ".join(name for name, cpus in busiest if cpus >= MIN_CPUS)


def measure(
    seconds: float, own: Collection[int] = (), *, proc: Path = PROC, sleep: Callable[[float], None] = time.sleep
) -> HostUse:
    """Measure for `seconds` what others than the processes `own` take of the host."""
    started, before = time.monotonic(), sample(proc)
    sleep(seconds)
    after = sample(proc)
    return between(before, after, own, time.monotonic() - started)


def sample(proc: Path = PROC) -> HostSample:
    """Read the CPU times of the host and of all processes that can be seen."""
    lines = [line.split() for line in (proc / "stat").read_text(encoding="ascii").splitlines()]
    ticks = [int(value) for value in lines[0][1:]]
    user, nice, system, idle, iowait, irq, softirq, steal = (ticks + [0] * 8)[:8]  # guest time is part of user's
    busy = user + nice + system + irq + softirq
    cpus = sum(words[0].startswith("cpu") for words in lines if words) - 1
    return HostSample(max(cpus, 1), busy, steal, busy + steal + idle + iowait, read_processes(proc))


def between(before: HostSample, after: HostSample, own: Collection[int], seconds: float) -> HostUse:
    """Return what was taken between two samples. A process that began in between counts from its beginning.

    One that ended in between counts under the name of the parent that waited for it, if that still runs: a build is
    `make`. What no process accounts for stands in `busiest` as `short-lived processes`, and what the hypervisor kept
    under a name of its own.
    """
    total = max(after.total - before.total, 1)
    stolen = _share(after.stolen - before.stolen, total)
    ticks = _ticks_by_pid(before.processes, after.processes)
    own_ticks = sum(ticks.get(pid, 0) for pid in own)
    taken = _share(after.busy - before.busy - own_ticks, total)
    others: Counter[str] = Counter()
    for pid, value in ticks.items():
        if pid not in own:
            others[after.processes[pid].name] += value
    cpus_of = {name: after.cpus * value / total for name, value in others.items()}
    cpus_of[SHORT_LIVED] = after.cpus * taken - sum(cpus_of.values())
    cpus_of[STOLEN] = after.cpus * stolen
    rounded = {name: round(cpus, 3) for name, cpus in cpus_of.items()}
    busiest = sorted(((name, cpus) for name, cpus in rounded.items() if cpus > 0), key=lambda item: -item[1])
    return HostUse(seconds, after.cpus, min(1.0, taken + stolen), stolen, tuple(busiest[:NAMED]))


def _ticks_by_pid(before: Mapping[int, ProcessTimes], after: Mapping[int, ProcessTimes]) -> dict[int, int]:
    """Return the ticks that each process of `after` took since `before`; a reused id is a new process.

    A process that ended may have handed its ticks to an ancestor that waited for it; those from before the interval are
    taken off again. It may be that nobody waited, or init for an orphan: so from the parent upwards, no more is taken
    off than was handed.
    """
    same = {pid for pid, times in after.items() if pid in before and before[pid].started == times.started}
    own = {pid: times.own - (before[pid].own if pid in same else 0) for pid, times in after.items()}
    handed = {pid: times.children - (before[pid].children if pid in same else 0) for pid, times in after.items()}
    for pid in before.keys() - same:
        left = before[pid].ticks
        for heir in _heirs(pid, before, same):
            taken = min(left, max(0, handed[heir]))
            handed[heir] -= taken
            left -= taken
    return {pid: max(0, own[pid]) + max(0, handed[pid]) for pid in after}


def _heirs(pid: int, before: Mapping[int, ProcessTimes], same: Collection[int]) -> Iterator[int]:
    """Yield the ancestors that did not end, the nearest first."""
    seen = {pid}  # ids are reused, also while the list of processes is read: there might be a circle
    while pid in before and (pid := before[pid].parent) not in seen:
        if pid in same:
            yield pid
        seen.add(pid)


def _share(ticks: int, total: int) -> float:
    """Return a share between 0 and 1: per CPU, a kernel's counters may go back by a few ticks."""
    return min(1.0, max(0.0, ticks / total))

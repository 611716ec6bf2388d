"""How long threads ran, and how long they wanted to run and had to wait, from the kernel (Linux, CONFIG_SCHED_INFO).

`/proc/TID/schedstat` may be read by every user. It holds the time on a CPU and the time in run queues, both in ns; a
wait is added when it ends (Documentation/scheduler/sched-stats.rst).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.guest.monitor import CpuTimes

PROC = Path("/proc")


def times(thread: int, proc: Path = PROC) -> CpuTimes | None:
    """Return the times of one thread; None when it has ended, or where the kernel does not count them."""
    try:
        run_ns, wait_ns, _ = map(int, (proc / str(thread) / "schedstat").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    return CpuTimes(run_ns, wait_ns) if run_ns else None  # a kernel that does not count them shows zeros


def total(threads: Iterable[int], proc: Path = PROC) -> CpuTimes | None:
    """Return the summed times of these threads; None when one of them is not known, or when there is none."""
    each = [times(thread, proc) for thread in threads]
    known = [of_thread for of_thread in each if of_thread]
    if not known or len(known) < len(each):
        return None
    return CpuTimes(sum(one.run_ns for one in known), sum(one.wait_ns for one in known))


def longest(process: int, proc: Path = PROC) -> CpuTimes | None:
    """Return the times of that thread of a process which waited longest; None as for `times`."""
    threads = (proc / str(process) / "task").glob("*")
    known = [of_thread for thread in threads if (of_thread := times(int(thread.name), proc))]
    return max(known, key=lambda of_thread: of_thread.wait_ns, default=None)


def process_of(thread: int, proc: Path = PROC) -> int | None:
    """Return the process of a thread, which is also the id of its main thread; None when it has ended."""
    try:
        lines = (proc / str(thread) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("Tgid:")), None)

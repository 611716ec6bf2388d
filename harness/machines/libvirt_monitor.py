"""A machine of libvirt seen from outside: its console in the pool, its clock in QEMU, its CPU time in /proc."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import MachineError
from harness.guest.monitor import Condition, CpuTimes
from harness.machines import libvirt, schedstat
from harness.noise.machine_processes import MachineProcess

STOPPED = Condition("paused", "the machine stands still: its QEMU was stopped by a signal (SIGSTOP)")
ENDED = Condition("ended", "the machine's QEMU has ended")
NOTICED_AFTER, NOTICED_S = 10, 0.2  # libvirt, which knows why QEMU ended, notices it later than /proc on a busy host
FETCH_S = 2.0  # between two copies of the console, where its file cannot be looked at


class LibvirtMonitor:
    """The view of one running domain. `volume` is the path of its console's volume, `copy` a file for a copy of it.

    Every method raises MachineError when the domain does not run any more, or when not even a first copy of its console
    can be made. A later copy may fail, such as while libvirtd restarts: the last one stands until the next is made.
    """

    def __init__(self, domain: str, volume: Path, copy: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.domain, self.volume, self.copy = domain, volume, copy
        self._clock = clock
        self._tried: float | None = None
        self._copied = False
        self._behind_since: float | None = None  # the first of the copies that failed since the last one
        self._delay_s = 0.0
        self._threads: tuple[int, ...] = ()
        self._process = MachineProcess(domain)

    def condition(self) -> Condition:
        """Return whether the machine runs: a look at QEMU's process, and one call of virsh.

        libvirt knows who paused or ended a machine; it does not know that a signal stopped QEMU.
        """
        process = self._process.state()
        if process == "stopped":
            return STOPPED
        told = libvirt.condition(self.domain)
        if process != "ended":
            return told
        for _ in range(NOTICED_AFTER):
            if told.state != "running":
                break
            time.sleep(NOTICED_S)
            told = libvirt.condition(self.domain)
        return ENDED if told.state in ("running", "unknown") else told

    def console_size(self) -> int:
        """Return the length of the console's output in bytes.

        QEMU writes the volume's file, which only root may read; its length may be asked by everyone who may enter the
        pool's folder. Where that is forbidden, or the folder is not there (in a container that has only libvirt's
        socket), the length is that of a copy, at most FETCH_S seconds old. So it is, too, after a copy that failed: the
        length grows once `console` can show more.
        """
        if self._behind_since is None:
            with suppress(PermissionError, FileNotFoundError):
                length = _length(self.volume)
                self._delay_s = 0.0
                return length
        if self._tried is None or self._clock() - self._tried >= FETCH_S:
            self._fetch(FETCH_S)
        return _length(self.copy)

    def console_delay_s(self) -> float:
        """Return the longest time between two copies of the console.

        0.0 where the volume's file can be looked at and the last copy did not fail before it was made.
        """
        return self._delay_s

    def console(self) -> str:
        """Return the console's output so far; virsh copies it out of the pool."""
        self._fetch()
        return self.copy.read_text(encoding="utf-8", errors="replace")

    def guest_seconds(self) -> float | None:
        """Return the time of the guest's real-time clock, in whole seconds since 1970; None when QEMU does not answer.

        It runs on while the guest runs: with the host's clock, or with the instructions where they are counted. A guest
        that sets its real-time clock makes it jump.
        """
        command = {"execute": "qom-get", "arguments": {"path": "/machine", "property": "rtc-time"}}
        return seconds_since_1970(self._ask(command))

    def cpu_times(self) -> CpuTimes | None:
        """Return the summed CPU time of the vCPU threads; None where the host's kernel does not count it."""
        return schedstat.total(self.threads())

    def process_ids(self) -> tuple[int, ...]:
        """Return the process id of QEMU; empty when it has ended."""
        return tuple(sorted({process for thread in self.threads() if (process := schedstat.process_of(thread))}))

    def threads(self) -> tuple[int, ...]:
        """Return the host's ids of the vCPU threads, which stay the same for as long as the domain runs.

        Asked for once, with more patience than the clock: without them, every limit would count the host's seconds.
        """
        if not self._threads:
            self._threads = vcpu_threads(self._ask({"execute": "query-cpus-fast"}, libvirt.CHECK_LIMIT_S))
        return self._threads

    def _fetch(self, since_last_s: float = 0.0) -> None:
        """Copy the console, `since_last_s` after the last copy; keep that one if it fails although the domain runs."""
        began = self._clock() if self._behind_since is None else self._behind_since
        failure = libvirt.fetch_console(self.domain, self.copy)
        self._tried = self._clock()
        if failure:
            if not self._copied or self.condition().state == "ended":
                raise self._lost(f"its serial console cannot be copied: {failure}")
            self._behind_since = began
            return
        if since_last_s or self._behind_since is not None:
            self._delay_s = max(self._delay_s, since_last_s + self._tried - began)
        self._copied, self._behind_since = True, None

    def _ask(self, command: dict[str, Any], timeout_s: float = libvirt.ASK_LIMIT_S) -> Any:
        """Return QEMU's answer; None when it does not answer although the domain runs."""
        answer = libvirt.ask_qemu(self.domain, command, timeout_s)
        if answer is None and self.condition().state == "ended":
            raise self._lost("QEMU does not answer")
        return answer

    def _lost(self, failure: str) -> MachineError:
        """Return the error for a machine that cannot be looked at; `failure` is how, in case it still runs."""
        condition = self.condition()
        return MachineError(
            condition.why if condition.state == "ended" else failure,
            where=self.domain,
            hint=f"virsh -c {libvirt.URI} domstate --reason {self.domain}",
        )


def _length(path: Path) -> int:
    return path.stat().st_size


def seconds_since_1970(rtc: Any) -> float | None:
    """Return the time of QEMU's `rtc-time`, which has the fields of `struct tm` in UTC; None for anything else."""
    try:
        date = (rtc["tm_year"] + 1900, rtc["tm_mon"] + 1, rtc["tm_mday"])
        return float(calendar.timegm((*date, rtc["tm_hour"], rtc["tm_min"], rtc["tm_sec"])))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def vcpu_threads(cpus: Any) -> tuple[int, ...]:
    """Return the thread ids in QEMU's `query-cpus-fast`, each once: emulated CPUs may share one thread."""
    threads = [cpu.get("thread-id") for cpu in cpus if isinstance(cpu, dict)] if isinstance(cpus, list) else []
    return tuple(dict.fromkeys(thread for thread in threads if isinstance(thread, int)))

"""Runs inside the guest: records the scheduler with perf, or waits in its place. Python 3.6, standard library only."""
# ruff: noqa: UP006, UP035, UP045  (these rules ask for syntax that Python 3.6 does not have)

import contextlib
import os
import shlex
import signal
import subprocess
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from .trial_command import Failure, read, run_beside
from .trial_console import open_console, phase_line
from .trial_load import load_states, require_load, stop_load

ESTABLISHED = "01"  # a TCP state as /proc/net/tcp shows it
SSH_PORT = ":0016"  # port 22, likewise
SETTLE_S = 1.0  # for perf to stop recording before the load is stopped
LOOKS = 8  # at the tasks: in so long a load has started, and systemd has told its state
ANSWER_S = 5.0  # for systemd to tell the state of the load, beside a heavy one
CLOCK_BOOTTIME = 7  # of <linux/time.h>; `time` has the name from Python 3.7 on


def ssh_connections(tables: Sequence[str] = ("/proc/net/tcp", "/proc/net/tcp6")) -> int:
    """Count the established connections to the SSH port of this machine."""
    rows = [line.split() for table in tables for line in (read(table) or "").splitlines()[1:]]
    return sum(len(row) > 3 and row[1].endswith(SSH_PORT) and row[3] == ESTABLISHED for row in rows)


def wait_until_alone(limit_s: float) -> int:
    """Wait until there is no SSH connection, which would disturb the scheduler; return how many there still are."""
    until = time.monotonic() + limit_s
    while ssh_connections() and time.monotonic() < until:
        time.sleep(0.25)
    return ssh_connections()


def cpu_ticks(text: str) -> Dict[str, int]:
    """Read the first line of /proc/stat: clock ticks since boot, summed over CPUs."""
    names = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]
    return dict(zip(names, [int(value) for value in text.splitlines()[0].split()[1:9]]))  # noqa: B905


def context_switches(text: str) -> int:
    """Read /proc/stat: context switches since boot, summed over CPUs."""
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("ctxt ")))


def accepted_connections(text: str) -> Optional[int]:
    """Read /proc/net/snmp: TCP connections that programs of this machine accepted since boot; None if it has none."""
    rows = [line.split() for line in text.splitlines() if line.startswith("Tcp: ")]
    found = dict(zip(*rows)).get("PassiveOpens") if len(rows) == 2 else None  # noqa: B905
    return None if found is None else int(found)


class Recorder:
    """The tracer, which is set up before the load starts, and begins to record when the load has warmed up.

    For seconds, perf needs the CPU to be set up. A load that ran meanwhile would be behind its work when the recording
    begins: an open loop for as long as it takes to answer what came meanwhile. So perf starts first, and waits for
    `delay_s` without recording, in which the load starts and warms up.

    Without a tracer, the shell that perf would start runs by itself: the load gets the same time, nothing is recorded.

    This process waits in `os.read` and wakes only when the recording has begun and when it ends, so that it does not
    disturb the recording. Use it in a `with` block: an error in it kills perf.
    """

    def __init__(self, config: Dict[str, Any]) -> None:
        self.config, self.limits = config, contextlib.ExitStack()
        self.delay_s, self.started_at, self.started, self.begins = 0.0, 0.0, 0.0, 0.0

    def __enter__(self) -> "Recorder":
        console, self.delay_s = open_console(self.config), delay_s(self.config)
        self.started_at, self.started = time.time(), time.monotonic()
        self.read_fd, write_fd = os.pipe()
        self.argv = record_argv(self.config, self.delay_s, write_fd)
        with open(log_of(self.config), "wb") as log:
            self.process = subprocess.Popen(self.argv, stdin=console, stdout=log, stderr=log, pass_fds=(write_fd,))
        os.close(write_fd)
        limit_s = self.delay_s + self.config["seconds"] + self.config["grace_s"]
        self.limits.enter_context(alarm(self.process, int(limit_s), name_of_tracer(self.config)))
        return self

    def __exit__(self, *error: Any) -> None:
        self.limits.__exit__(*error)

    def wait_until_set_up(self) -> None:
        """Wait until perf is ready to record; tell the load when it will. Raises Failure if perf ended before."""
        if not os.read(self.read_fd, 1):
            self.end()
        self.begins = time.monotonic() + self.delay_s
        announce_recording(self.config, time.time() + self.delay_s)

    def require_warm_up(self, load_started: float) -> None:
        """Require that the load runs and will be warm; `load_started` is when it started, by the monotonic clock.

        Asked some time before the recording, since systemd may take seconds to answer beside a heavy load. Raises
        Failure if the load has ended, or if the recording begins too early for it.
        """
        time.sleep(max(0.0, self.begins - ANSWER_S - time.monotonic()))
        require_load(self.config, "before the recording began")
        now = time.monotonic()
        if load_started + self.config["warmup_s"] > self.begins or now > self.begins:
            took_s = now - self.begins + self.delay_s
            raise Failure(f"to start the load and to look at its tasks took {took_s:.1f} s: too late to warm it up")

    def finish(self) -> Dict[str, Any]:
        """Wait until the recording has ended, then stop the load so that perf writes its file on a free CPU.

        Returns the state of the load, the SSH connections and the tasks at the end of it, the clocks and the CPU's
        ticks at both ends, perf's running time `wall_s` and CPU time `tracer_cpu_s` in seconds. Raises Failure.
        """
        os.read(self.read_fd, 1)
        clock_before, stat_before, snmp_before = counts()
        sleep_ended = os.read(self.read_fd, 1)  # b'' if perf ended before the sleep did
        clock_after, stat_after, snmp_after = counts()
        ssh_count, loads = ssh_connections(), load_states(self.config)
        if sleep_ended:
            time.sleep(SETTLE_S)
        tasks = run_beside("tasks.py")
        stop_load(self.config)
        usage = self.end()
        return {
            "argv": self.argv,
            "loads": loads,
            "tasks": tasks,
            "ssh_connections": ssh_count,
            "started_at": self.started_at,
            "wall_s": time.monotonic() - self.started,
            "tracer_cpu_s": usage.ru_utime + usage.ru_stime if is_traced(self.config) else None,
            "clock_before": clock_before,
            "clock_after": clock_after,
            "cpu_ticks_before": cpu_ticks(stat_before),
            "cpu_ticks_after": cpu_ticks(stat_after),
            "switches": context_switches(stat_after) - context_switches(stat_before),
            "connections": since(accepted_connections(snmp_before), accepted_connections(snmp_after)),
        }

    def end(self) -> Any:
        """Wait until the tracer has ended; return the resources that it used. Raises Failure unless it did its work."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = status  # os.wait4 has already reaped it; Popen must not wait again
        require_recording(self.config, status)
        return usage


def is_traced(config: Dict[str, Any]) -> bool:
    """Return whether the trial records the scheduler."""
    return bool(config["tracer"] == "perf")


def name_of_tracer(config: Dict[str, Any]) -> str:
    """Return what the process is called in errors."""
    return "perf sched record" if is_traced(config) else "the wait in place of perf"


def log_of(config: Dict[str, Any]) -> str:
    """Return the path of what the process prints; only that of perf is copied."""
    return os.path.join(config["work_dir"], "perf.log" if is_traced(config) else "wait.log")


def delay_s(config: Dict[str, Any]) -> float:
    """Return the seconds from when perf is set up until it records: the load starts and warms up in them.

    How long a start takes depends on the machine; a look at the tasks, which comes after it, says how slow it is.
    """
    begun = time.monotonic()
    run_beside("tasks.py")
    start_s = max(config["start_s"], LOOKS * (time.monotonic() - begun))
    return float(round(config["warmup_s"] + start_s, 3))


def announce_recording(config: Dict[str, Any], begins_at: float) -> None:
    """Write when the recording will begin, in seconds since 1970; in memory, so that no disk is written to."""
    path = config["recording_file"]
    with open(path + ".part", "w", encoding="ascii") as stream:
        stream.write(f"{begins_at:.6f}\n")
    os.rename(path + ".part", path)


def clocks() -> Dict[str, float]:
    """Return this machine's clocks; a step or a suspension between two looks makes them differ."""
    ids = {"monotonic_s": time.CLOCK_MONOTONIC, "boottime_s": CLOCK_BOOTTIME, "realtime_s": time.CLOCK_REALTIME}
    return {name: time.clock_gettime(clock) for name, clock in ids.items()}


def counts() -> Tuple[Dict[str, float], str, str]:
    """Return the clocks and what the kernel counted until now: /proc/stat and /proc/net/snmp."""
    return clocks(), read("/proc/stat") or "", read("/proc/net/snmp") or ""


def since(before: Optional[int], after: Optional[int]) -> Optional[int]:
    """Return what came between two counts; None if one of them is not known."""
    return None if before is None or after is None else after - before


def record_argv(config: Dict[str, Any], delay_s: float, write_fd: int) -> List[str]:
    """Return the perf command that records while a shell sleeps; without a tracer, that shell.

    perf starts the shell when it is set up, and records after a delay of its own. The shell writes a line to the pipe
    `write_fd` at once, when the recording has begun, and when it ends; at the latter two, before that, the phase to its
    standard input, the console. It is one write each, by a process that runs anyway.

    This script and perf start at nice -10. Before it sleeps, the shell sets perf and itself to nice 0. -B leaves out
    the build ids of the programs, for which perf would read the whole recording again.
    """
    tell = f"echo >/proc/self/fd/{write_fd}"
    began, ended = (
        f"printf %s {shlex.quote(phase_line(config, name))} >&0; {tell}" for name in ("recording", "recorded")
    )
    seconds = config["seconds"]
    parent = "$PPID " if is_traced(config) else ""  # perf; else it is this script, which stays as it is
    script = f"renice -n 0 -p {parent}$$ >/dev/null; {tell}; sleep {delay_s:g}; {began}; sleep {seconds:g}; {ended}"
    if not is_traced(config):
        return ["sh", "-c", script]
    options = ["-B", "-D", f"{1000 * delay_s:.0f}", "-m", "{}K".format(config["buffer_kb"])]
    output = ["-o", os.path.join(config["work_dir"], "perf.data")]
    return ["perf", "sched", "record", *options, *output, "--", "sh", "-c", script]


def require_recording(config: Dict[str, Any], status: int) -> None:
    """Raise Failure unless the tracer succeeded and left a recording; `status` is that of wait(2).

    The recording is made readable for all: perf makes it readable for root only, and the host copies it as a user.
    """
    data = os.path.join(config["work_dir"], "perf.data")
    if status != 0 or (is_traced(config) and not os.path.exists(data)):
        output = (read(log_of(config)) or "it printed nothing")[-1500:]
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
        raise Failure(f"{name_of_tracer(config)} ended with {how}: {output}")
    if is_traced(config):
        os.chmod(data, 0o644)


@contextlib.contextmanager
def alarm(process: Any, limit_s: int, name: str = "perf sched record") -> Iterator[None]:
    """Raise Failure in the block after `limit_s` seconds, by one signal, not polling. Any error kills `process`."""

    def late(signum: int, frame: Any) -> None:
        raise Failure(f"{name} did not end within {limit_s} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(limit_s)
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        signal.alarm(0)

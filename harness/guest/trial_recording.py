"""Runs inside the guest: records the scheduler with perf. Python 3.6, standard library only."""
# ruff: noqa: UP006, UP035  (these rules ask for syntax that Python 3.6 does not have)

import contextlib
import os
import shlex
import signal
import subprocess
import time
from typing import Any, Dict, Iterator, List, Sequence

from .trial_command import Failure, read, run_beside
from .trial_console import open_console, phase_line
from .trial_load import load_states, stop_load

ESTABLISHED = "01"  # a TCP state as /proc/net/tcp shows it
SSH_PORT = ":0016"  # port 22, likewise
SETTLE_S = 1.0  # for perf to stop recording before the load is stopped
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


def record(config: Dict[str, Any]) -> Dict[str, Any]:
    """Record the scheduler for `config["seconds"]`, then stop the load so that perf writes its file on a free CPU.

    This process waits in `os.read` and wakes only when the recording has begun and when it ends, so that it does not
    disturb the recording. Returns the state of the load, the SSH connections and the tasks at the end of it, the clocks
    and the CPU's ticks at both ends, and perf's running time `wall_s` and CPU time `tracer_cpu_s` in seconds.
    """
    started_at, started, console = time.time(), time.monotonic(), open_console(config)
    read_fd, write_fd = os.pipe()
    argv = record_argv(config, write_fd)
    with open(os.path.join(config["work_dir"], "perf.log"), "wb") as log:
        process = subprocess.Popen(argv, stdin=console, stdout=log, stderr=log, pass_fds=(write_fd,))
    os.close(write_fd)
    with alarm(process, int(config["seconds"] + config["grace_s"])):
        recording_began(config, bool(os.read(read_fd, 1)))
        clock_before, ticks_before = clocks(), cpu_ticks(read("/proc/stat") or "")
        sleep_ended = os.read(read_fd, 1)  # b'' if perf ended before the sleep did
        clock_after, ticks_after = clocks(), cpu_ticks(read("/proc/stat") or "")
        ssh_count, loads = ssh_connections(), load_states(config)
        if sleep_ended:
            time.sleep(SETTLE_S)
        tasks = run_beside("tasks.py")
        stop_load(config)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status  # os.wait4 has already reaped it; Popen must not wait again
    require_recording(config, status)
    return {
        "argv": argv,
        "loads": loads,
        "tasks": tasks,
        "ssh_connections": ssh_count,
        "started_at": started_at,
        "wall_s": time.monotonic() - started,
        "tracer_cpu_s": usage.ru_utime + usage.ru_stime,
        "clock_before": clock_before,
        "clock_after": clock_after,
        "cpu_ticks_before": ticks_before,
        "cpu_ticks_after": ticks_after,
    }


def recording_began(config: Dict[str, Any], began: bool) -> None:
    """Write when the recording began, for a load that waits for it; in memory, so that no disk is written to."""
    if began:
        path = config["recording_file"]
        with open(path + ".part", "w", encoding="ascii") as stream:
            stream.write(f"{time.time():.6f}\n")
        os.rename(path + ".part", path)


def clocks() -> Dict[str, float]:
    """Return this machine's clocks; a step or a suspension between two looks makes them differ."""
    ids = {"monotonic_s": time.CLOCK_MONOTONIC, "boottime_s": CLOCK_BOOTTIME, "realtime_s": time.CLOCK_REALTIME}
    return {name: time.clock_gettime(clock) for name, clock in ids.items()}


def record_argv(config: Dict[str, Any], write_fd: int) -> List[str]:
    """Return the perf command that records while a shell sleeps.

    perf starts the shell when it has begun to record. Before and after its sleep, the shell writes the phase to its
    standard input, the console, and a line to the pipe `write_fd`: one write each, by a process that runs anyway.

    This script and perf start at nice -10, because a heavy load would delay the start of perf for minutes. Before it
    sleeps, the shell sets perf and itself to nice 0. -B leaves out the build ids of the programs, for which perf would
    read the whole recording again.
    """
    began, ended = (
        f"printf %s {shlex.quote(phase_line(config, phase))} >&0; echo >/proc/self/fd/{write_fd}"
        for phase in ("recording", "recorded")
    )
    script = "{}; renice -n 0 -p $PPID $$ >/dev/null; sleep {:g}; {}".format(began, config["seconds"], ended)
    options = ["-B", "-m", "{}K".format(config["buffer_kb"]), "-o", os.path.join(config["work_dir"], "perf.data")]
    return ["perf", "sched", "record", *options, "--", "sh", "-c", script]


def require_recording(config: Dict[str, Any], status: int) -> None:
    """Raise Failure unless perf succeeded and left a recording; `status` is that of wait(2).

    The recording is made readable for all: perf makes it readable for root only, and the host copies it as a user.
    """
    data = os.path.join(config["work_dir"], "perf.data")
    if status != 0 or not os.path.exists(data):
        output = (read(os.path.join(config["work_dir"], "perf.log")) or "it printed nothing")[-1500:]
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
        raise Failure(f"perf sched record ended with {how}: {output}")
    os.chmod(data, 0o644)


@contextlib.contextmanager
def alarm(process: Any, limit_s: int) -> Iterator[None]:
    """Raise Failure in the block after `limit_s` seconds, by one signal, not polling. Any error kills `process`."""

    def late(signum: int, frame: Any) -> None:
        raise Failure(f"perf sched record did not end within {limit_s} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(limit_s)
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        signal.alarm(0)

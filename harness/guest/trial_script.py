"""Runs inside the guest. One trial: check, start the load, warm up, record, stop the load, hash, write the result.

The host fills in CONFIG_JSON and sends this file to the guest. The guest's own Python, 3.6 or newer, runs it as root
with only the standard library. `result.json` is written last: when it exists, all other files are complete. What the
host must know before it connects is written to the serial console: `harness-trial LABEL recording`, `recorded`, `done`.

    python3 trial.py check         only check, and print the outcome as one line of JSON
    python3 trial.py record        carry out a trial that has been checked
    python3 trial.py               both, one after the other
"""
# ruff: noqa: UP006, UP035, UP045  (these rules ask for syntax that Python 3.6 does not have)

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence

CONFIG_JSON = "{}"  # the host replaces this by the trial's configuration, see `harness.guest.trial.script_config`
SCHEMA = 1
EARLIEST_CLOCK = 1700000000  # 2023-11-14: a clock that shows an earlier time was never set
ESTABLISHED = "01"  # a TCP state as /proc/net/tcp shows it
SSH_PORT = ":0016"  # port 22, likewise
COMMAND_S = 120  # for commands of a second: a busy host makes them a minute where the guest has the host's clock
SETTLE_S = 1.0  # for perf to stop recording before the load is stopped
PULLED = ("perf.data", "perf.log", "load.txt")  # what the host copies besides result.json
SETTINGS_STATE = "/run/harness-kernel-settings.json"  # the file of kernel_settings.py, there once one was changed
BOOT_ID = "/proc/sys/kernel/random/boot_id"  # differs after every boot
CLOCK_BOOTTIME = 7  # of <linux/time.h>; `time` has the name from Python 3.7 on


class Failure(Exception):
    """A step failed; the text gives the reason to the user."""


class Unfit(Failure):
    """The machine is not fit for this trial, so that trying again is of no use."""


class Missing(Unfit):
    """A program is not installed."""


def call(argv: List[str], limit_s: float, check: bool = True) -> str:
    """Run a command and return the output of both streams. Raises Failure when it fails or takes too long."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s
        )
    except FileNotFoundError:
        raise Missing(f"{argv[0]}: no such program on this machine") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{shlex_join(argv)}: not done within {limit_s:g} s") from None
    text = done.stdout.decode("utf-8", "replace")
    if check and done.returncode != 0:
        raise Failure(f"{shlex_join(argv)}: exit status {done.returncode}: {text.strip()[-1500:]}")
    return text


def shlex_join(argv: List[str]) -> str:
    """Return the argv as a shell command line."""
    return " ".join(shlex.quote(word) for word in argv)


def read(path: str) -> Optional[str]:
    """Return the text of a small file without its last newline, None when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().rstrip("\n")
    except OSError:
        return None


def write_atomic(path: str, text: str) -> None:
    """Write a file so that it is complete and on the disk, or does not exist."""
    with open(path + ".part", "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(path + ".part", path)


# --- the console ------------------------------------------------------------------------------------------------------


def open_console(config: Dict[str, Any]) -> int:
    """Open the serial console so that a write never waits: what a stuck console does not take is lost.

    It stays open until the script ends, because closing it waits until all is sent. Raises Failure.
    """
    try:
        return os.open(config["console"], os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise Failure("the serial console {}: {}".format(config["console"], error.strerror)) from None


def phase_line(config: Dict[str, Any], phase: str) -> str:
    """Return the line that names a phase; it begins with a newline, because the last line may be incomplete."""
    return "\nharness-trial {} {}\n".format(config["label"], phase)


def announce(config: Dict[str, Any], phase: str, times: int = 1) -> None:
    """Write a phase to the console, `times` times, because a message of the kernel may cut a line. Raises Failure."""
    console = open_console(config)
    for _ in range(times):
        with contextlib.suppress(OSError):
            os.write(console, phase_line(config, phase).encode("ascii"))
        time.sleep(0.1 if times > 1 else 0)


# --- checks -----------------------------------------------------------------------------------------------------------


def check_machine(config: Dict[str, Any]) -> None:
    """Raise Failure unless kernel and CPUs are the expected ones, the clock is set and the recording will fit."""
    kernel, cpus = os.uname().release, os.sysconf("SC_NPROCESSORS_ONLN")
    if config["kernel"] and kernel != config["kernel"]:
        raise Failure("the kernel is {}, expected {}".format(kernel, config["kernel"]))
    if config["cpus"] and cpus != config["cpus"]:
        raise Failure("{} CPUs are online, expected {}".format(cpus, config["cpus"]))
    if time.time() < EARLIEST_CLOCK:
        raise Failure("the clock was never set: it shows {}".format(time.strftime("%Y-%m-%d", time.gmtime())))
    disk = os.statvfs(config["work_dir"])
    free_mb = disk.f_bavail * disk.f_frsize // (1 << 20)
    if free_mb < config["free_mb"]:
        raise Failure("{} MB free in {}, expected {}".format(free_mb, config["work_dir"], config["free_mb"]))


def kernel_settings(config: Dict[str, Any], action: str) -> List[Dict[str, Any]]:
    """Let the script for kernel settings `apply` or `read` them; return them. Raises Unfit where one cannot be set."""
    wanted = config["kernel_settings"]
    if not wanted and not os.path.exists(SETTINGS_STATE):
        return []
    outcome = run_beside(config["settings"], action, json.dumps(wanted))
    if "error" in outcome and action == "apply":
        raise Unfit(outcome["error"])
    if len(outcome["settings"]) < len(wanted):
        raise Failure(outcome["error"])
    return list(outcome["settings"])


def check_perf(config: Dict[str, Any]) -> None:
    """Raise Failure unless perf runs on this kernel and may record the scheduler."""
    probe = os.path.join(config["work_dir"], "probe.data")
    try:
        call(["perf", "sched", "record", "-B", "-m", "512K", "-o", probe, "--", "true"], COMMAND_S)
        if not os.path.exists(probe) or os.path.getsize(probe) == 0:
            raise Failure("perf sched record left no recording")
    finally:
        if os.path.exists(probe):
            os.unlink(probe)


def check_load(config: Dict[str, Any]) -> None:
    """Raise Failure unless the load can start, for example because its server answers; retry for 20 s."""
    if not config["ready"]:
        return
    until = time.monotonic() + 20
    while True:
        try:
            call(config["ready"], 20)
            return
        except Failure as error:
            if isinstance(error, Missing) or time.monotonic() > until:
                raise
            time.sleep(1)


def check(config: Dict[str, Any]) -> None:
    """Check everything that can be checked before the recording. Raises Failure."""
    check_machine(config)
    announce(config, "check")
    kernel_settings(config, "apply")
    check_perf(config)
    check_load(config)


# --- the load ---------------------------------------------------------------------------------------------------------


def start_load(config: Dict[str, Any]) -> None:
    """Start the load as a systemd unit, which SIGINT stops and whose running time is limited."""
    launcher = os.path.join(config["work_dir"], "load.sh")
    output = shlex.quote(os.path.join(config["work_dir"], "load.txt"))
    write_atomic(launcher, "#!/bin/sh\nexec {} >{} 2>&1\n".format(shlex_join(config["command"]), output))
    longest = int(config["warmup_s"] + config["seconds"] * 2 + 300)
    options = ["--property=KillSignal=SIGINT", "--property=TimeoutStopSec=30", f"--property=RuntimeMaxSec={longest}"]
    call(["systemd-run", "--quiet", "--unit=" + config["load_unit"], *options, "/bin/sh", launcher], COMMAND_S)


def load_state(config: Dict[str, Any]) -> Dict[str, str]:
    """Return the state of the load's unit by systemd's property names."""
    names = ["ActiveState", "SubState", "Result", "ExecMainStatus", "ExecMainCode"]
    text = call(["systemctl", "show", "--property=" + ",".join(names), config["load_unit"]], COMMAND_S, check=False)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def require_load(config: Dict[str, Any], when: str) -> None:
    """Raise Failure, with the load's output, unless the load runs; `when` ends the sentence of the error."""
    state = load_state(config)
    if state.get("ActiveState") != "active":
        output = (read(os.path.join(config["work_dir"], "load.txt")) or "it printed nothing")[-1500:]
        exit_status = state.get("ExecMainStatus", "?")
        raise Failure(f"the load had ended {when} (exit status {exit_status}): {output}")


def stop_load(config: Dict[str, Any]) -> None:
    """Stop the load's unit and remove it; do nothing when there is none."""
    call(["systemctl", "stop", config["load_unit"]], COMMAND_S, check=False)
    call(["systemctl", "reset-failed", config["load_unit"]], COMMAND_S, check=False)


# --- the recording ----------------------------------------------------------------------------------------------------


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
        os.read(read_fd, 1)
        clock_before, ticks_before = clocks(), cpu_ticks(read("/proc/stat") or "")
        sleep_ended = os.read(read_fd, 1)  # b'' if perf ended before the sleep did
        clock_after, ticks_after = clocks(), cpu_ticks(read("/proc/stat") or "")
        ssh_count, load = ssh_connections(), load_state(config)
        if sleep_ended:
            time.sleep(SETTLE_S)
        tasks = run_beside(config["tasks"])
        stop_load(config)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status  # os.wait4 has already reaped it; Popen must not wait again
    require_recording(config, status)
    return {
        "argv": argv,
        "load": load,
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


# --- the result -------------------------------------------------------------------------------------------------------


def hashes(work_dir: str) -> Dict[str, str]:
    """Return the SHA-256 of every file that the host copies."""
    names = [name for name in PULLED if os.path.exists(os.path.join(work_dir, name))]
    text = call(["sh", "-c", 'cd "$0" && exec sha256sum -- "$@"', work_dir, *names], 600)
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def run_beside(script: str, *arguments: str) -> Any:
    """Run a script that was sent along and return the JSON that it prints. Raises Failure."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), script)
    return json.loads(call([sys.executable, path, *arguments], COMMAND_S))


def scheduling_groups(before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, Any]:
    """Return the facts about tasks from those before the recording and those after it, which prevail for cgroups."""
    both = {"before": before, "after": after}
    left_out = {when: tasks["left_out"] for when, tasks in both.items()}
    return {
        "tasks": {when: tasks["tasks"] for when, tasks in both.items()},
        "cgroups": {**before["cgroups"], **after["cgroups"]},
        **({"tasks_left_out": left_out} if any(left_out.values()) else {}),
    }


def carry_out(config: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Run all steps in order; `result["stage"]` is always the step that runs."""
    begun = time.monotonic()

    def step(name: str) -> None:
        result["stage"] = name
        result["stages"][name] = round(time.monotonic() - begun, 3)

    step("alone")
    result["ssh_connections_before"] = wait_until_alone(config["alone_s"])
    os.sync()
    step("load")
    try:
        start_load(config)
        step("warm-up")
        time.sleep(config["warmup_s"])
        require_load(config, "before the recording began")
        step("tasks")
        before = run_beside(config["tasks"])
        step("record")
        result["recording"] = record(config)
        result["load"] = result["recording"].pop("load")
        result["ssh_connections_after"] = result["recording"].pop("ssh_connections")
    except BaseException:
        with contextlib.suppress(Failure):  # report the first failure; the host stops the unit once more
            stop_load(config)
        raise
    step("collect")
    groups = scheduling_groups(before, result["recording"].pop("tasks"))
    result["facts"] = {**run_beside(config["facts"]), **groups}
    result["kernel_settings"] = kernel_settings(config, "read")
    step("hash")
    result["sha256"] = hashes(config["work_dir"])
    step("done")


def terminated(signum: int, frame: Any) -> None:
    """Handle SIGTERM: raise Failure, so that the load is stopped as well."""
    raise Failure(f"stopped from outside (signal {signum})")


def main(arguments: List[str], config: Dict[str, Any]) -> int:
    """Check, record, or both, as the arguments say; return the exit code, 0 on success."""
    signal.signal(signal.SIGTERM, terminated)
    result = {"schema": SCHEMA, "name": config["name"], "ok": False, "stage": "check", "stages": {}}
    result["boot_id"] = read(BOOT_ID)
    try:
        if arguments != ["record"]:
            check(config)
        if arguments != ["check"]:
            carry_out(config, result)
        result["ok"] = True
    except Failure as error:
        result["error"], result["retryable"] = str(error), not isinstance(error, Unfit)
    except Exception as error:  # every failure must reach the host
        result["error"] = f"{type(error).__name__}: {error}"
    if arguments == ["check"]:
        print(json.dumps(result, sort_keys=True))
    else:
        write_atomic(os.path.join(config["work_dir"], "result.json"), json.dumps(result, indent=1, sort_keys=True))
        with contextlib.suppress(Failure):  # the unit writes it as well
            announce(config, "done", times=3)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], json.loads(CONFIG_JSON)))

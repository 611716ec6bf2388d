"""One trial, carried out inside the machine: check, start the load, warm up, record, stop, collect, tell.

Sent to the guest as one file and run there as root by the guest's own Python, 3.6 or newer, with nothing but its
standard library. `result.json` is written last: whoever finds it finds everything else in place.

    python3 trial.py check         only check, and print the outcome as one line of JSON
    python3 trial.py record        carry out a trial that has been checked
    python3 trial.py               both, one after the other
"""
# ruff: noqa: UP006, UP035, UP045  (what they ask for is unknown to Python 3.6)

import contextlib
import glob
import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Dict, Iterator, List, Optional

CONFIG_JSON = "{}"  # the host puts the trial here
SCHEMA = 1
EARLIEST_CLOCK = 1700000000  # 2023-11-14: an earlier clock was never set
ESTABLISHED = "01"
SSH_PORT = 22
SETTLE_S = 1.0  # for perf to stop recording before the load is stopped


class Failure(Exception):
    """A step could not be done; the text says why, for a person to read."""


class Missing(Failure):
    """A program is not there, and will not come by itself."""


def call(argv: List[str], limit_s: float, check: bool = True) -> str:
    """Run a command; return what it printed on both streams; raise Failure where it fails or takes too long."""
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
    """The argv as a shell would take it."""
    return " ".join(shlex.quote(word) for word in argv)


def read(path: str) -> Optional[str]:
    """The text of a small file without its last newline; None where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().rstrip("\n")
    except OSError:
        return None


def write_atomic(path: str, text: str) -> None:
    """The file is there whole, on the disk, or not at all."""
    with open(path + ".part", "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(path + ".part", path)


# --- checks -----------------------------------------------------------------------------------------------------------


def check_identity(config: Dict[str, Any]) -> None:
    """The kernel and the CPUs are the ones asked for, and the clock has been set."""
    kernel, cpus = os.uname().release, os.sysconf("SC_NPROCESSORS_ONLN")
    if config["kernel"] and kernel != config["kernel"]:
        raise Failure("the kernel is {}, expected {}".format(kernel, config["kernel"]))
    if config["cpus"] and cpus != config["cpus"]:
        raise Failure("{} CPUs are online, expected {}".format(cpus, config["cpus"]))
    if time.time() < EARLIEST_CLOCK:
        raise Failure("the clock was never set: it says {}".format(time.strftime("%Y-%m-%d", time.gmtime())))


def check_space(config: Dict[str, Any]) -> None:
    """The recording will fit on the disk."""
    disk = os.statvfs(config["work_dir"])
    free_mb = disk.f_bavail * disk.f_frsize // (1 << 20)
    if free_mb < config["free_mb"]:
        raise Failure("{} MB free in {}, expected {}".format(free_mb, config["work_dir"], config["free_mb"]))


def check_perf(config: Dict[str, Any]) -> None:
    """perf runs on this kernel and may record the scheduler."""
    probe = os.path.join(config["work_dir"], "probe.data")
    try:
        call(["perf", "sched", "record", "-B", "-m", "512K", "-o", probe, "--", "true"], 60)
        if not os.path.exists(probe) or os.path.getsize(probe) == 0:
            raise Failure("perf sched record left no recording")
    finally:
        if os.path.exists(probe):
            os.unlink(probe)


def check_load(config: Dict[str, Any]) -> None:
    """What the load needs answers; it is given a few seconds to start."""
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
    """Everything that can be known to be wrong before anything is recorded."""
    check_identity(config)
    check_space(config)
    check_perf(config)
    check_load(config)


# --- the load ---------------------------------------------------------------------------------------------------------


def start_load(config: Dict[str, Any]) -> None:
    """Start the load as a unit of its own, which SIGINT stops and which cannot outlive the trial for long."""
    launcher = os.path.join(config["work_dir"], "load.sh")
    output = shlex.quote(os.path.join(config["work_dir"], "load.txt"))
    with open(launcher, "w", encoding="utf-8") as stream:
        stream.write("#!/bin/sh\nexec {} >{} 2>&1\n".format(shlex_join(config["command"]), output))
    longest = int(config["warmup_s"] + config["seconds"] * 2 + 300)
    properties = ["KillSignal=SIGINT", "TimeoutStopSec=30", f"RuntimeMaxSec={longest}"]
    options = [f"--property={name}" for name in properties]
    call(["systemd-run", "--quiet", "--unit=" + config["load_unit"], *options, "/bin/sh", launcher], 30)


def load_state(config: Dict[str, Any]) -> Dict[str, str]:
    """What systemd says of the load's unit, by property name."""
    names = ["ActiveState", "SubState", "Result", "ExecMainStatus", "ExecMainCode"]
    text = call(["systemctl", "show", "--property=" + ",".join(names), config["load_unit"]], 30, check=False)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def require_load(config: Dict[str, Any], when: str) -> None:
    """The load runs; if not, say what it printed."""
    state = load_state(config)
    if state.get("ActiveState") == "active":
        return
    said = (read(os.path.join(config["work_dir"], "load.txt")) or "it printed nothing")[-1500:]
    raise Failure("the load had ended {} (exit status {}): {}".format(when, state.get("ExecMainStatus", "?"), said))


def stop_load(config: Dict[str, Any]) -> None:
    """Stop the unit and forget it; harmless where there is none."""
    call(["systemctl", "stop", config["load_unit"]], 60, check=False)
    call(["systemctl", "reset-failed", config["load_unit"]], 30, check=False)


# --- the recording ----------------------------------------------------------------------------------------------------


def ssh_connections(tables: List[str]) -> int:
    """Established connections to the SSH port, from the texts of /proc/net/tcp and tcp6."""
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    suffix = f":{SSH_PORT:04X}"
    return sum(len(row) > 3 and row[1].endswith(suffix) and row[3] == ESTABLISHED for row in rows)


def ssh_connections_now() -> int:
    """The same, of this machine, now."""
    return ssh_connections([read("/proc/net/" + name) or "" for name in ("tcp", "tcp6")])


def wait_until_alone(limit_s: float) -> int:
    """Wait until nobody is connected over SSH, which would disturb the scheduler; returns how many still are."""
    until = time.monotonic() + limit_s
    while ssh_connections_now() and time.monotonic() < until:
        time.sleep(0.25)
    return ssh_connections_now()


def cpu_ticks(text: str) -> Dict[str, int]:
    """The first line of /proc/stat, in clock ticks since boot, summed over CPUs."""
    names = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]
    return dict(zip(names, [int(value) for value in text.splitlines()[0].split()[1:9]]))  # noqa: B905


def record(config: Dict[str, Any]) -> Dict[str, Any]:
    """Record the scheduler for the time asked, then stop the load so that perf can finish on a CPU that is free.

    This process sleeps in one read meanwhile. Returns, of the moment the time was over, the state of the load and the
    number of SSH connections; of perf `wall_s`, its whole running time, and `tracer_cpu_s`, the CPU time it used.
    """
    before, started_at, started = read("/proc/stat") or "", time.time(), time.monotonic()
    end, told = os.pipe()
    argv = record_argv(config, told)
    with open(os.path.join(config["work_dir"], "perf.log"), "wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(told,))
    os.close(told)
    with alarm(process, int(config["seconds"] + config["grace_s"])):
        over = os.read(end, 1)  # empty where perf ended without waiting for its command
        visitors, load = ssh_connections_now(), load_state(config)
        if over:
            time.sleep(SETTLE_S)
        stop_load(config)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status  # it has been waited for; Popen must not do it again
    require_recording(config, status)
    return {
        "argv": argv,
        "load": load,
        "ssh_connections": visitors,
        "started_at": started_at,
        "wall_s": time.monotonic() - started,
        "tracer_cpu_s": usage.ru_utime + usage.ru_stime,
        "cpu_ticks_before": cpu_ticks(before),
        "cpu_ticks_after": cpu_ticks(read("/proc/stat") or ""),
    }


def record_argv(config: Dict[str, Any], told: int) -> List[str]:
    """perf for as long as a sleep takes; the end of the sleep is told through the pipe `told`.

    This script runs favoured, and so does perf while it starts up, which a load that overwhelms the CPU would draw
    out for minutes. The command it records gives both the usual priority first. -B leaves out the list of programs,
    for which perf would read the whole recording again.
    """
    sleep = "renice -n 0 -p $PPID $$ >/dev/null; sleep {:g}; echo >/proc/self/fd/{}".format(config["seconds"], told)
    options = ["-B", "-m", "{}K".format(config["buffer_kb"]), "-o", os.path.join(config["work_dir"], "perf.data")]
    return ["perf", "sched", "record", *options, "--", "sh", "-c", sleep]


def require_recording(config: Dict[str, Any], status: int) -> None:
    """perf succeeded and left a file, which is made readable: perf lets only root read it, a user pulls it.

    `status` is that of wait(2).
    """
    data = os.path.join(config["work_dir"], "perf.data")
    if status != 0 or not os.path.exists(data):
        said = (read(os.path.join(config["work_dir"], "perf.log")) or "it printed nothing")[-1500:]
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
        raise Failure(f"perf sched record ended with {how}: {said}")
    os.chmod(data, 0o644)


@contextlib.contextmanager
def alarm(process: Any, limit_s: int) -> Iterator[None]:
    """Raise Failure after the limit: one alarm, far beyond the end, instead of polling. An error ends the process."""

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


# --- facts ------------------------------------------------------------------------------------------------------------


def cpu_model(cpuinfo: str) -> str:
    """The model name in the text of /proc/cpuinfo; empty where there is none."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""


def facts() -> Dict[str, Any]:
    """What the scheduler's behaviour may depend on."""
    meminfo = dict(line.split(":", 1) for line in (read("/proc/meminfo") or "").splitlines() if ":" in line)
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    return {
        "hostname": socket.gethostname(),
        "kernel": os.uname().release,
        "kernel_version": os.uname().version,
        "kernel_cmdline": " ".join(w for w in (read("/proc/cmdline") or "").split() if not w.startswith("harness.")),
        "cpus": os.sysconf("SC_NPROCESSORS_ONLN"),
        "cpu_model": cpu_model(read("/proc/cpuinfo") or ""),
        "memory_kb": int(meminfo.get("MemTotal", "0 kB").split()[0]),
        "memory_available_kb": int(meminfo.get("MemAvailable", "0 kB").split()[0]),
        "clocksource": read(clock),
        "loadavg": read("/proc/loadavg"),
        "python": sys.version.split()[0],
        "perf_version": call(["perf", "--version"], 30).strip(),
        "packages": packages(),
        "scheduler": scheduler_settings(),
    }


def packages() -> Dict[str, str]:
    """Versions of what was installed for the trial, as far as it came in packages."""
    wanted = ["linux-perf*", "linux-tools*", "nginx*", "apache2-utils", "stress-ng", "systemd"]
    show = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}|${Package}|${Version}\n"]
    try:
        rows = [line.split("|") for line in call(show + wanted, 30, check=False).splitlines()]
    except Failure:
        return {}
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0].startswith("ii")}


def scheduler_settings() -> Dict[str, str]:
    """Every knob of the scheduler that this kernel shows, by its path."""
    patterns = ["/proc/sys/kernel/sched_*", "/sys/kernel/debug/sched/*", "/sys/kernel/debug/sched_features"]
    patterns += ["/sys/kernel/sched_ext/state", "/sys/fs/cgroup/system.slice/cgroup.subtree_control"]
    found = {path: read(path) for pattern in patterns for path in sorted(glob.glob(pattern)) if os.path.isfile(path)}
    return {path: text[:2000] for path, text in found.items() if text and not path.endswith("/debug")}


def sha256(path: str) -> str:
    """The file's SHA-256, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def hashes(work_dir: str) -> Dict[str, str]:
    """The SHA-256 of every file the host pulls; also written as `sha256sums`."""
    found = {}
    for name in ("perf.data", "perf.log", "load.txt"):
        path = os.path.join(work_dir, name)
        if os.path.exists(path):
            found[name] = sha256(path)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(found.items())]
    write_atomic(os.path.join(work_dir, "sha256sums"), "".join(lines))
    return found


# --- the trial --------------------------------------------------------------------------------------------------------


def carry_out(config: Dict[str, Any], result: Dict[str, Any]) -> None:
    """All steps in order; `result` always says which one is under way."""

    def step(name: str) -> None:
        result["stage"] = name
        result["stages"][name] = round(time.monotonic() - begun, 3)

    begun = time.monotonic()
    step("alone")
    result["ssh_connections_before"] = wait_until_alone(config["alone_s"])
    os.sync()
    step("load")
    try:
        start_load(config)
        step("warm-up")
        time.sleep(config["warmup_s"])
        require_load(config, "before the recording began")
        step("record")
        result["recording"] = record(config)
        result["load"] = result["recording"].pop("load")
        result["ssh_connections_after"] = result["recording"].pop("ssh_connections")
    except BaseException:
        with contextlib.suppress(Failure):  # the reason told is the first one; the host stops the unit once more
            stop_load(config)
        raise
    step("collect")
    result["facts"] = facts()
    step("hash")
    result["sha256"] = hashes(config["work_dir"])
    step("done")


def terminated(signum: int, frame: Any) -> None:
    """Told to stop: unwind, so that the load is stopped as well."""
    raise Failure(f"stopped from outside (signal {signum})")


def main(arguments: List[str], config: Dict[str, Any]) -> int:
    """Carry out what the arguments ask for; 0 where it succeeded."""
    signal.signal(signal.SIGTERM, terminated)
    result = {"schema": SCHEMA, "name": config["name"], "ok": False, "stage": "check", "stages": {}}
    try:
        if arguments != ["record"]:
            check(config)
        if arguments != ["check"]:
            carry_out(config, result)
        result["ok"] = True
    except Failure as error:
        result["error"] = str(error)
    except Exception as error:  # anything at all has to reach the host
        result["error"] = f"{type(error).__name__}: {error}"
    if arguments == ["check"]:
        print(json.dumps(result, sort_keys=True))
    else:
        write_atomic(os.path.join(config["work_dir"], "result.json"), json.dumps(result, indent=1, sort_keys=True))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], json.loads(CONFIG_JSON)))

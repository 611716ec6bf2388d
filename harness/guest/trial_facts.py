"""Runs inside the guest, after the recording: prints the facts about this machine as one line of JSON.

The guest's own Python, 3.6 or newer, runs it with only the standard library; `trial_script.py` starts it.
"""
# ruff: noqa: UP006, UP035, UP045  (these rules ask for syntax that Python 3.6 does not have)

import glob
import json
import os
import re
import socket
import subprocess
import sys
from typing import Any, Dict, List, Optional

LIMIT_S = 30
WANTED = "/etc/harness/packages"  # names; the playbook writes them


def read(path: str) -> Optional[str]:
    """Return the text of a small file without its last newline, None when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().rstrip("\n")
    except OSError:
        return None


def output(argv: List[str]) -> str:
    """Return what a command prints, empty when there is no such program or it takes too long."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def cpu_model(cpuinfo: str) -> str:
    """Return the first model name in the text of /proc/cpuinfo, empty when there is none."""
    match = re.search(r"^model name\s*:(.*)$", cpuinfo, re.MULTILINE)
    return match.group(1).strip() if match else ""


def facts() -> Dict[str, Any]:
    """Return the facts about this machine on which the scheduler's behaviour may depend."""
    meminfo = dict(line.split(":", 1) for line in (read("/proc/meminfo") or "").splitlines() if ":" in line)
    return {
        "hostname": socket.gethostname(),
        "kernel": os.uname().release,
        "kernel_version": os.uname().version,
        "kernel_cmdline": " ".join(w for w in (read("/proc/cmdline") or "").split() if not w.startswith("harness.")),
        "cpus": os.sysconf("SC_NPROCESSORS_ONLN"),
        "cpu_model": cpu_model(read("/proc/cpuinfo") or ""),
        "memory_kb": int(meminfo.get("MemTotal", "0 kB").split()[0]),
        "memory_available_kb": int(meminfo.get("MemAvailable", "0 kB").split()[0]),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "loadavg": read("/proc/loadavg"),
        "python": sys.version.split()[0],
        "perf_version": output(["perf", "--version"]),
        "packages": packages(),
        "scheduler": scheduler_settings(),
    }


def packages(wanted_file: str = WANTED) -> Dict[str, str]:
    """Return the versions of the packages that the loads and perf were installed by, and that of systemd.

    Those that Debian builds from the same sources belong to them (redis-tools), and those that a name without a number
    stands for (postgresql-15).
    """
    wanted = {*(read(wanted_file) or "").split(), "systemd"}
    show = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}|${Package}|${source:Package}|${Version}\n"]
    rows = [line.split("|") for line in output(show).splitlines()]
    installed = {row[1]: row[2:] for row in rows if len(row) == 4 and row[0].startswith("ii")}
    sources = {installed[name][0] for name in wanted - {"systemd"} if name in installed}
    return {
        name: version
        for name, (source, version) in installed.items()
        if source in sources or name in wanted or re.sub(r"-[0-9.]+$", "", name) in wanted
    }


def scheduler_settings(root: str = "") -> Dict[str, str]:
    """Return every scheduler setting that this kernel shows, by its path; `root` is where that path begins."""
    patterns = ["/proc/sys/kernel/sched_*", "/sys/kernel/debug/sched/*", "/sys/kernel/debug/sched_features"]
    patterns += ["/sys/kernel/sched_ext/state", "/sys/fs/cgroup/system.slice/cgroup.subtree_control"]
    paths = (path for pattern in patterns for path in sorted(glob.glob(root + pattern)) if os.path.isfile(path))
    texts = {path[len(root) :]: read(path) for path in paths}
    return {path: text[:2000] for path, text in texts.items() if text and not path.endswith("/debug")}


if __name__ == "__main__":
    print(json.dumps(facts(), sort_keys=True))

"""Runs inside the guest, after the recording: prints the facts about this machine as one line of JSON.

The guest's own Python, 3.6 or newer, runs it with only the standard library; `trial_script.py` starts it.
"""
# ruff: noqa: UP006, UP035, UP045  (these rules ask for syntax that Python 3.6 does not have)

import glob
import gzip
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from typing import Any, Dict, List, Optional

LIMIT_S = 30
WANTED = "/etc/harness/packages"  # names; the playbook writes them
CONFIGS = (
    "/proc/config.gz",
    "/boot/config-{}",
    "/lib/modules/{}/config",
)  # which of them there is depends on the kernel
NAMES_THE_BUILD = "CONFIG_BUILD_SALT="  # the release once more, so that equal configurations would differ
# The options on which the length of slices, the moments of preemption or the cost of a switch may depend.
OPTIONS = re.compile(
    r"^(CONFIG_(?:HZ|PREEMPT|SCHED|EXT_GROUP_SCHED|RT_GROUP|FAIR_GROUP|CFS_|CGROUP_SCHED|UCLAMP|NO_HZ|HIGH_RES|TICK_"
    r"|VIRT_CPU|IRQ_TIME|RCU_|TREE_RCU|TASKS_RCU|NUMA|SMP|NR_CPUS|CPU_FREQ|CPU_IDLE|INTEL_IDLE|MITIGATION|CPU_MITIG"
    r"|SPECULATION|PAGE_TABLE_ISO|RETPOLINE|CPU_SRSO|CPU_UNRET|CPU_IB|PARAVIRT|KVM_GUEST|HYPERVISOR_GUEST|PSI"
    r"|TRANSPARENT_HUGE|CC_OPTIMIZE|LTO|FUNCTION_TRACER|DYNAMIC_FTRACE|PROVE_|LOCKDEP|LOCK_STAT|DEBUG_LOCK|DEBUG_PREEMPT"
    r"|KASAN|KCSAN|UBSAN|KCOV|LATENCYTOP|JUMP_LABEL|X86_TSC|CLOCKSOURCE)\w*)=(.*)$",
    re.MULTILINE,
)
CPU = "/sys/devices/system/cpu"


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


def cpu_flags(cpuinfo: str) -> str:
    """Return the flags of the first CPU in the text of /proc/cpuinfo in alphabetical order, empty without any."""
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    return " ".join(sorted(match.group(1).split())) if match else ""


def facts() -> Dict[str, Any]:
    """Return the facts about this machine on which the scheduler's behaviour may depend."""
    cpuinfo, release = read("/proc/cpuinfo") or "", os.uname().release
    meminfo = dict(line.split(":", 1) for line in (read("/proc/meminfo") or "").splitlines() if ":" in line)
    return {
        "hostname": socket.gethostname(),
        "kernel": release,
        "kernel_version": os.uname().version,
        "kernel_cmdline": " ".join(w for w in (read("/proc/cmdline") or "").split() if not w.startswith("harness.")),
        "cpus": os.sysconf("SC_NPROCESSORS_ONLN"),
        "cpu_model": cpu_model(cpuinfo),
        "cpu_flags": cpu_flags(cpuinfo)[:4000],
        "cpu_governor": read(CPU + "/cpu0/cpufreq/scaling_governor"),
        "cpu_idle": cpu_idle(),
        "memory_kb": int(meminfo.get("MemTotal", "0 kB").split()[0]),
        "memory_available_kb": int(meminfo.get("MemAvailable", "0 kB").split()[0]),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "loadavg": read("/proc/loadavg"),
        "python": sys.version.split()[0],
        "perf_version": output(["perf", "--version"]),
        "packages": packages(),
        "scheduler": scheduler_settings(),
        "kernel_config": kernel_config(release),
        "mitigations": mitigations(),
        "transparent_hugepages": chosen(read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "tainted": read("/proc/sys/kernel/tainted"),
    }


def kernel_config(release: str, root: str = "") -> Optional[Dict[str, Any]]:
    """Return where the kernel's configuration is, its SHA-256, and its OPTIONS; None where the kernel shows none.

    The SHA-256 is that of its lines `CONFIG_NAME=VALUE` in alphabetical order, without comments: they name the version.
    """
    paths = (root + path.format(release) for path in CONFIGS)
    found = next((path for path in paths if os.path.isfile(path)), None)
    if found is None:
        return None
    try:
        with (gzip.open if found.endswith(".gz") else open)(found, "rb") as stream:
            text = stream.read().decode("utf-8", "replace")
    except (OSError, EOFError):
        return None
    lines = sorted(line for line in text.splitlines() if line.startswith("CONFIG_"))
    hashed = "\n".join(line for line in lines if not line.startswith(NAMES_THE_BUILD))
    options = {name: value[:200] for name, value in OPTIONS.findall(text)}
    return {"path": found[len(root) :], "sha256": hashlib.sha256(hashed.encode()).hexdigest(), "options": options}


def mitigations(root: str = "") -> Dict[str, str]:
    """Return what the kernel does about each weakness of the CPU that it knows."""
    paths = sorted(glob.glob(root + CPU + "/vulnerabilities/*"))
    return {os.path.basename(path): (read(path) or "")[:1000] for path in paths}


def cpu_idle(root: str = "") -> Optional[str]:
    """Return the driver and the governor of the CPU's idle states; None where the kernel has none."""
    names = [read(root + CPU + "/cpuidle/" + name) for name in ("current_driver", "current_governor_ro")]
    return ", ".join(name for name in names if name) or None


def chosen(text: Optional[str]) -> Optional[str]:
    """Return the word in brackets of a file that lists choices."""
    match = re.search(r"\[(\w+)\]", text or "")
    return match.group(1) if match else None


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
    patterns += ["/sys/kernel/sched_ext/state", "/sys/kernel/sched_ext/root/ops"]
    patterns += ["/sys/fs/cgroup/system.slice/cgroup.subtree_control"]
    paths = (path for pattern in patterns for path in sorted(glob.glob(root + pattern)) if os.path.isfile(path))
    texts = {path[len(root) :]: read(path) for path in paths}
    return {path: text[:2000] for path, text in texts.items() if text and not path.endswith("/debug")}


if __name__ == "__main__":
    print(json.dumps(facts(), sort_keys=True))
